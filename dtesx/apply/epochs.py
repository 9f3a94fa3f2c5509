"""Epochs on a target: kept in files until they are whole, then applied, then forgotten.

A file grows while its epoch arrives (``arriving``). When the epoch is complete, the file is synced and
takes the epoch's number as its name: from then on it will be applied, if need be after a restart,
and from the beginning. The name's ending tells whether that has begun, so that the replica may have a part of
it. The file goes when the file systems of the replica were synced. The last one that went is in ``applied``.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import DtesxError, EpochDamaged
from dtesx.base.files import private_directory, sync_directory, write_atomic
from dtesx.model.epoch import Epoch, InsertedTask, KeptEpoch
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Decoder, Frame, FrameType, encode
from dtesx.wire.parts import Content
from dtesx.wire.piping import in_memory

_ARRIVING = "arriving"
_APPLIED = "applied"
_WAITING, _BEGUN = ".epoch", ".begun"
_ENCODER = msgspec.msgpack.Encoder()
_TRAILER = struct.Struct("!I")  # how many bytes the last frame takes
_READ = 1 << 20


class _Head(msgspec.Struct, frozen=True):
    """First frame of a file: what the root numbers in its operations mean."""

    roots: tuple[str, ...]


class _Tail(msgspec.Struct, frozen=True):
    """Last frame of a file; ``checksum`` (CRC-32) is that of the ``size`` bytes before it."""

    epoch: Epoch
    size: int
    checksum: int
    tasks: tuple[InsertedTask, ...] = ()


class EpochLog:
    """The epochs of one place, in ``directory``, which is made when the first one arrives.

    ``size`` counts the bytes of the one that is arriving. Every method raises OSError, those that
    read EpochDamaged. One thread at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._arriving = -1
        self._fd = -1
        self._checksum = 0
        self.size = 0

    def last(self) -> Epoch | None:
        """The last epoch that was applied and is on disk; None when there was none."""
        try:
            return msgspec.json.decode((self._directory / _APPLIED).read_bytes(), type=described(Epoch))
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise DtesxError(
                f"the target cannot read {self._directory / _APPLIED}: {error}",
                hint="remove the file on the target; the next replication mirrors by difference",
            ) from error

    def waiting(self) -> list[int]:
        """The numbers of the epochs that are whole and not known to be on the replica's disk."""
        last = self.last()
        applied = last.number if last is not None else 0
        return [number for number in self._numbers() if number > applied]

    def begun(self) -> int:
        """The number of the last epoch of which the replica may have a part; 0: there is none."""
        return max((int(file.stem) for file in self._directory.glob(f"*{_BEGUN}")), default=0)

    def begin_to_apply(self, number: int) -> None:
        """The replica is about to get a whole epoch. May be repeated."""
        with suppress(FileNotFoundError):
            self._path(number, _WAITING).rename(self._path(number, _BEGUN))
            sync_directory(self._directory)

    def free(self) -> int:
        """Bytes that can still be written where epochs are kept."""
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize

    def begin(self, roots: Sequence[str]) -> None:
        """An epoch begins to arrive; one that did not become whole is forgotten."""
        self.discard()
        if self._fd < 0:
            private_directory(self._directory)
            self._fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._arriving = os.open(self._directory / _ARRIVING, flags, 0o600)
        self._add(FrameType.EPOCH_BEGIN, _ENCODER.encode(_Head(tuple(roots))))

    def add(self, frame: Frame) -> None:
        """Keep a frame of operations. May be repeated when it failed."""
        self._add(FrameType.OPERATIONS, bytes(frame.table), [in_memory(frame.blob)])

    def complete(self, epoch: Epoch, tasks: Sequence[InsertedTask] = (), *, waits: bool = True) -> None:
        """The epoch is whole: when this returns, it will be applied, and ``tasks`` run then.

        Unless it ``waits``, that begins now. May be repeated when it failed.
        """
        tail = _ENCODER.encode(_Tail(epoch, self.size, self._checksum, tuple(tasks)))
        end = _encoded(FrameType.EPOCH_END, tail)
        end.append(_TRAILER.pack(sum(map(len, end))))
        self._write(end)
        os.fsync(self._arriving)
        with suppress(FileNotFoundError):  # when it is repeated
            (self._directory / _ARRIVING).rename(self._path(epoch.number, _WAITING if waits else _BEGUN))
        os.fsync(self._fd)
        self._close()

    def discard(self) -> None:
        """Forget the epoch that is arriving."""
        self._close()
        with suppress(FileNotFoundError):
            os.unlink(self._directory / _ARRIVING)

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget whole epochs, the latest first, so that no crash leaves a gap."""
        for number in sorted(numbers, reverse=True):
            self._file(number).unlink(missing_ok=True)
            sync_directory(self._directory)

    def read(self, number: int) -> Iterator[tuple[tuple[str, ...], Frame]]:
        """The frames of operations of a whole epoch, each with what its root numbers mean."""
        roots: tuple[str, ...] = ()
        for frame in self._frames(number):
            if frame.type is FrameType.EPOCH_BEGIN:
                roots = msgspec.msgpack.decode(frame.table, type=described(_Head)).roots
            elif frame.type is FrameType.OPERATIONS:
                yield roots, frame
            else:
                return

    def kept(self, number: int) -> KeptEpoch:
        """What a whole epoch is, as its end says."""
        file = self._file(number)
        tail = self._tail(file)
        return KeptEpoch(tail.epoch, file.stat().st_size, tail.tasks)

    def check(self, number: int) -> None:
        """Read a whole epoch; raises EpochDamaged when it is not what was written."""
        file = self._file(number)
        tail = self._tail(file)
        checksum, left = 0, tail.size
        with file.open("rb", buffering=0) as source:
            while left and (data := source.read(min(left, _READ))):
                checksum, left = zlib.crc32(data, checksum), left - len(data)
        if left or checksum != tail.checksum:
            raise _damaged(file)

    def applied(self, epoch: Epoch) -> None:
        """The epoch, with all before it, is on the replica's disk: forget them."""
        write_atomic(self._directory / _APPLIED, msgspec.json.encode(epoch))
        for number in self._numbers():
            if number <= epoch.number:
                self._file(number).unlink()

    def forget(self) -> None:
        """Nobody knows any more what the replica has."""
        (self._directory / _APPLIED).unlink(missing_ok=True)
        sync_directory(self._directory)

    def close(self) -> None:
        """Close; what has not become whole is forgotten."""
        self.discard()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _numbers(self) -> list[int]:
        endings = _WAITING, _BEGUN
        return sorted(int(file.stem) for ending in endings for file in self._directory.glob(f"*{ending}"))

    def _file(self, number: int) -> Path:
        begun = self._path(number, _BEGUN)
        return begun if begun.exists() else self._path(number, _WAITING)

    def _path(self, number: int, ending: str) -> Path:
        return self._directory / f"{number:020}{ending}"

    def _close(self) -> None:
        if self._arriving >= 0:
            os.close(self._arriving)
        self._arriving, self.size, self._checksum = -1, 0, 0

    def _add(self, kind: FrameType, table: bytes, blob: Sequence[Content] = ()) -> None:
        parts = _encoded(kind, table, blob)
        self._write(parts)
        for part in parts:
            self._checksum = zlib.crc32(part, self._checksum)
        self.size += sum(map(len, parts))

    def _write(self, parts: list[bytes]) -> None:
        at = self.size
        for part in parts:
            view = memoryview(part)
            while view:
                count = os.pwrite(self._arriving, view, at)
                view, at = view[count:], at + count

    def _frames(self, number: int) -> Iterator[Frame]:
        file, decoder = self._file(number), Decoder()
        decoder.greeted = True
        try:
            with file.open("rb", buffering=0) as source:
                while count := source.readinto(decoder.buffer()):
                    if (frame := decoder.advance(count)) is not None:
                        yield frame
        except (ProtocolError, msgspec.MsgspecError) as error:
            raise _damaged(file) from error

    def _tail(self, file: Path) -> _Tail:
        with file.open("rb", buffering=0) as source:
            end = source.seek(0, os.SEEK_END) - _TRAILER.size
            try:
                (length,) = _TRAILER.unpack(os.pread(source.fileno(), _TRAILER.size, max(0, end)))
                decoder = Decoder()
                decoder.greeted = True
                frame, left = None, memoryview(os.pread(source.fileno(), length, end - length))
                while left and frame is None:
                    room = decoder.buffer()[: len(left)]
                    room[:], left = left[: len(room)], left[len(room) :]
                    frame = decoder.advance(len(room))
                if frame is None or frame.type is not FrameType.EPOCH_END:
                    raise _damaged(file)
                return msgspec.msgpack.decode(frame.table, type=described(_Tail))
            except (OSError, struct.error, ProtocolError, msgspec.MsgspecError) as error:
                raise _damaged(file) from error


def _encoded(kind: FrameType, table: bytes, blob: Sequence[Content] = ()) -> list[bytes]:
    return list(encode(kind, 1, table, blob)[0])  # type: ignore[arg-type]  # no FilePart arrives


def _damaged(file: Path) -> EpochDamaged:
    return EpochDamaged(
        f"the epoch in {file} is damaged on the target's disk",
        hint="check that disk; then pause the replica, discard its queue, resume: the source sends it again",
    )
