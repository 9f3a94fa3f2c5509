"""What was read of a tree the last time: one record for each directory, so that it need not be read again.

A record says: the directory whose names and inodes had this *state* had this *content*. It stays
true for ever, so a catalogue is never wrong, only useless: nothing is lost with a missing, torn or
foreign one but time. It is read and written in walking order beside the walk, in constant memory.

File: a header of 24 bytes (magic, whose tree it is), then blocks: length, digest, records in msgpack.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from blake3 import blake3

from dtesx import __version__
from dtesx.base.described import described
from dtesx.base.log import get_logger
from dtesx.mirror.diff import walking_order

log = get_logger(__name__)

DIGEST = 16
"""Length of every digest in bytes (BLAKE3-128)."""

_MAGIC = b"DTSXCAT\x01"
_BLOCK = struct.Struct(f"!I{DIGEST}s")
_BLOCK_RECORDS = 256
_MAX_BLOCK = 64 << 20

_libc = ctypes.CDLL(None, use_errno=True)
# linux/magic.h and the file systems' own headers: ext4, XFS, btrfs, tmpfs, F2FS, bcachefs, ZFS, overlay.
_TELL_CHANGES = frozenset(
    (0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0xCA451A4E, 0x2FC12FC1, 0x794C7630)
)


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A directory as it was read. ``files`` are its names but directories and sockets, ``size`` in bytes."""

    path: bytes
    state: bytes
    content: bytes
    files: int
    size: int
    sockets: int


_RECORDS = msgspec.msgpack.Decoder(described(list[Record]))
_ENCODER = msgspec.msgpack.Encoder()


def digest(data: bytes) -> bytes:
    """BLAKE3-128 of some bytes."""
    return blake3(data).digest(DIGEST)


class Catalogue:
    """The catalogue of one tree: ask ``find`` and tell ``note`` in walking order, then ``keep`` the new one.

    ``root`` is a descriptor of the tree's root. Records hold for symlinks that are remapped in one
    way, which ``remap`` stands for. ``close`` without ``keep`` leaves the old one in place. No
    method raises OSError: a catalogue that cannot be read or written is done without.
    """

    def __init__(self, path: Path, root: int, remap: bytes = b"") -> None:
        mark = _MAGIC + digest(_ENCODER.encode((*_whose(root), remap)))
        self._old = _read(path, mark)
        self._head = next(self._old, None)
        self._new = _Writer(path, mark)

    def find(self, path: bytes) -> Record | None:
        """The record of a directory, if there is one."""
        head = self._head
        if head is None or head.path == path:
            return head
        wanted = walking_order(path)
        while head is not None and walking_order(head.path) < wanted:
            self._head = head = next(self._old, None)
        return head if head is not None and head.path == path else None

    def note(self, record: Record) -> None:
        """Add a record to the new catalogue."""
        self._new.add(record)

    def keep(self) -> None:
        """Let the new catalogue take the place of the old one."""
        self._new.keep()

    def close(self) -> None:
        """Close both; what was not kept is removed."""
        self._old.close()
        self._new.close()


def catalogue_path(directory: Path, root: str) -> Path:
    """The file in ``directory`` for the tree of a replication root."""
    return directory / f"{digest(os.fsencode(root)).hex()}.catalogue"


def open_catalogue(path: Path, root: int, *, remap: bytes = b"") -> Catalogue | None:
    """The catalogue in a file; None where the file system of ``root`` may not tell of all changes."""
    return Catalogue(path, root, remap) if _tells_changes(root) else None


def _tells_changes(root: int) -> bool:
    """Whether a file system moves a file's ctime at every change of the file, whoever makes it.

    Local ones do; over a network or through FUSE a change may be made behind the kernel's back.
    """
    buffer = (ctypes.c_long * 64)()
    return _libc.fstatfs(ctypes.c_int(root), buffer) == 0 and buffer[0] in _TELL_CHANGES


def _whose(root: int) -> tuple[str | int, ...]:
    """Whose eyes saw which tree: others may not see the same extended attributes and owners."""
    status = Path("/proc/self/status").read_text()
    capabilities = next(line for line in status.splitlines() if line.startswith("CapEff"))
    users = str(Path("/proc/self/ns/user").readlink())
    return __version__, os.fstatvfs(root).f_fsid, os.fstat(root).st_ino, os.geteuid(), capabilities, users


def _read(path: Path, mark: bytes) -> Generator[Record]:
    """The records up to the first damage."""
    try:
        with path.open("rb") as file:
            if file.read(len(mark)) != mark:
                log.info("the catalogue is another tree's", path=str(path))
                return
            while head := file.read(_BLOCK.size):
                length, expected = _BLOCK.unpack(head)
                block = file.read(length) if length <= _MAX_BLOCK else b""
                if digest(block) != expected:
                    raise ValueError("damaged block")
                yield from _RECORDS.decode(block)
    except FileNotFoundError:
        return
    except (OSError, ValueError, struct.error) as error:  # msgspec's errors are ValueErrors
        log.warning("the catalogue cannot be read; the tree is", path=str(path), reason=str(error))


class _Writer:
    def __init__(self, path: Path, mark: bytes) -> None:
        self._path = path
        # One name for all: what a killed process left is overwritten. Should two processes write at
        # once, every block is still true.
        self._temporary = path.with_name(path.name + ".new")
        self._records: list[Record] = []
        self._file: BinaryIO | None = None
        with self._tolerant():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(fd, "wb")
            self._file.write(mark)

    def add(self, record: Record) -> None:
        self._records.append(record)
        if len(self._records) >= _BLOCK_RECORDS:
            self._flush()

    def keep(self) -> None:
        self._flush()
        if self._file is not None:
            with self._tolerant():
                self._file.close()
                os.replace(self._temporary, self._path)
            self._file = None

    def close(self) -> None:
        if self._file is not None:
            with self._tolerant():
                self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._file = None

    def _flush(self) -> None:
        if self._file is not None and self._records:
            block = _ENCODER.encode(self._records)
            with self._tolerant():
                self._file.write(_BLOCK.pack(len(block), digest(block)) + block)
        self._records = []

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("the catalogue cannot be written", path=str(self._path), reason=str(error))
            self._file = None
