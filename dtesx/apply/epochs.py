"""Epochs on a target: kept in files until they are whole, then applied, then forgotten.

A file grows while its epoch arrives (``arriving``). When the epoch is complete, the file is synced and
takes the epoch's number as its name: from then on it will be applied, if need be after a restart,
and from the beginning. It goes when the file systems of the replica were synced. The last one that
went is in ``applied``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from dtesx.base.errors import DtesxError
from dtesx.base.files import private_directory, sync_directory, write_atomic
from dtesx.model.epoch import Epoch
from dtesx.wire.frames import Decoder, Frame, FrameType, encode

_ARRIVING = "arriving"
_APPLIED = "applied"
_ENDING = ".epoch"
_ENCODER = msgspec.msgpack.Encoder()


class _Head(msgspec.Struct, frozen=True):
    """First frame of a file: what the root numbers in its operations mean."""

    roots: tuple[str, ...]


class EpochLog:
    """The epochs of one place, in ``directory``, which is made when the first one arrives.

    ``size`` counts the bytes of the one that is arriving; ``fd`` is a descriptor of the directory
    from then on. Every method raises OSError. One thread at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._arriving = -1
        self.fd = -1
        self.size = 0

    def last(self) -> Epoch | None:
        """The last epoch that was applied and is on disk; None when there was none."""
        try:
            return msgspec.json.decode((self._directory / _APPLIED).read_bytes(), type=Epoch)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise DtesxError(
                f"the target cannot read {self._directory / _APPLIED}: {error}",
                hint="remove the file on the target; the next replication mirrors by difference",
            ) from error

    def waiting(self) -> list[int]:
        """The numbers of the epochs that are whole and not known to be on the replica's disk."""
        return sorted(int(file.stem) for file in self._directory.glob(f"*{_ENDING}"))

    def begin(self, roots: Sequence[str]) -> None:
        """An epoch begins to arrive; one that did not become whole is forgotten."""
        self.discard()
        if self.fd < 0:
            private_directory(self._directory)
            self.fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._arriving = os.open(self._directory / _ARRIVING, flags, 0o600)
        self._write(FrameType.EPOCH_BEGIN, _ENCODER.encode(_Head(tuple(roots))))

    def add(self, frame: Frame) -> None:
        """Keep a frame of operations. May be repeated when it failed."""
        self._write(FrameType.OPERATIONS, bytes(frame.table), [frame.blob])

    def complete(self, epoch: Epoch) -> None:
        """The epoch is whole: when this returns, it will be applied. May be repeated when it failed."""
        self._write(FrameType.EPOCH_END, _ENCODER.encode(epoch))
        os.fsync(self._arriving)
        (self._directory / _ARRIVING).rename(self._file(epoch.number))
        os.fsync(self.fd)
        os.close(self._arriving)
        self._arriving, self.size = -1, 0

    def discard(self) -> None:
        """Forget the epoch that is arriving."""
        if self._arriving >= 0:
            os.close(self._arriving)
        self._arriving, self.size = -1, 0
        with suppress(FileNotFoundError):
            os.unlink(self._directory / _ARRIVING)

    def read(self, number: int) -> Iterator[tuple[tuple[str, ...], Frame]]:
        """The frames of operations of a whole epoch, each with what its root numbers mean."""
        roots: tuple[str, ...] = ()
        for frame in _frames(self._file(number)):
            if frame.type is FrameType.EPOCH_BEGIN:
                roots = msgspec.msgpack.decode(frame.table, type=_Head).roots
            elif frame.type is FrameType.OPERATIONS:
                yield roots, frame

    def epoch(self, number: int) -> Epoch:
        """What a whole epoch is."""
        for frame in _frames(self._file(number)):
            if frame.type is FrameType.EPOCH_END:
                return msgspec.msgpack.decode(frame.table, type=Epoch)
        raise DtesxError(
            f"{self._file(number)} has no end", hint="remove it; then start the replication again"
        )

    def applied(self, epoch: Epoch) -> None:
        """The epoch, with all before it, is on the replica's disk: forget them."""
        write_atomic(self._directory / _APPLIED, msgspec.json.encode(epoch))
        for number in self.waiting():
            if number <= epoch.number:
                self._file(number).unlink()
        sync_directory(self._directory)

    def close(self) -> None:
        """Close; what has not become whole is forgotten."""
        self.discard()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _file(self, number: int) -> Path:
        return self._directory / f"{number:020}{_ENDING}"

    def _write(self, kind: FrameType, table: bytes, blob: Sequence[memoryview] = ()) -> None:
        data = b"".join(map(bytes, encode(kind, 1, table, blob)[0]))
        at = self.size
        while data:
            written = os.pwrite(self._arriving, data, at)
            data, at = data[written:], at + written
        self.size = at


def _frames(file: Path) -> Iterator[Frame]:
    decoder = Decoder()
    decoder.greeted = True
    with file.open("rb", buffering=0) as source:
        while (count := source.readinto(decoder.buffer())) or decoder.partial:
            if not count:
                raise DtesxError(f"{file} is cut off", hint="look at the target's disk; then start again")
            if (frame := decoder.advance(count)) is not None:
                yield frame
