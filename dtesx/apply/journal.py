"""Changing a file in place so that no crash leaves it half old and half new.

What is to be written goes to a journal beside the file first. When the journal is whole and on disk
the file is changed, and when that is on disk the journal is removed. Who finds a whole journal
(``complete``) carries it out again; one that is not whole means that the file was not touched.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress

from blake3 import blake3

from dtesx.apply.copying import write_at
from dtesx.base.holes import punch
from dtesx.wire.items import TEMPORARY_PREFIX

PREFIX = TEMPORARY_PREFIX + b"journal."
"""Names of journals: temporary ones, so they are neither listed nor to be had for a source's files."""

_MAGIC = b"dtesx journal 1\n"
_HEADER = struct.Struct("!16sQH")
_RECORD = struct.Struct("!BQQ")
_DATA, _HOLE, _END = 1, 2, 3
_DIGEST = 32
_STEP = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Journal:
    """Collects the changes of the open file ``fd``, which is ``name`` in ``directory`` (a descriptor).

    ``temporary`` is a temporary name that nothing else has.

    Every method raises OSError. ``drop`` leaves the file as it was, if ``carry_out`` was not called.
    """

    def __init__(self, directory: int, name: bytes, fd: int, temporary: bytes) -> None:
        self._directory = directory
        self._file = fd
        self._path = PREFIX + temporary.removeprefix(TEMPORARY_PREFIX)
        self._fd = os.open(self._path, _NEW, 0o600, dir_fd=directory)
        self._hash = blake3()
        self._at = 0
        try:
            self._write(_HEADER.pack(_MAGIC, os.fstat(fd).st_ino, len(name)) + name)
        except OSError:
            self.drop()
            raise

    def data(self, offset: int, data: memoryview) -> None:
        """``data`` is to be written at ``offset``."""
        self._write(_RECORD.pack(_DATA, offset, len(data)), data)

    def hole(self, offset: int, length: int) -> None:
        """A part is to become a hole."""
        self._write(_RECORD.pack(_HOLE, offset, length))

    def carry_out(self, size: int) -> None:
        """Change the file, which is ``size`` bytes long afterwards, and have that on disk."""
        self._write(_RECORD.pack(_END, size, 0))
        write_at(self._fd, self._hash.digest(), self._at)
        os.fdatasync(self._fd)
        os.fsync(self._directory)
        _replay(self._fd, self._file)

    def drop(self) -> None:
        """Remove the journal."""
        os.close(self._fd)
        with suppress(FileNotFoundError):
            os.unlink(self._path, dir_fd=self._directory)

    def _write(self, head: bytes, data: memoryview | bytes = b"") -> None:
        write_at(self._fd, head, self._at)
        write_at(self._fd, data, self._at + len(head))
        # Only now: a record that failed is made again, in the same place.
        self._hash.update(head)
        self._hash.update(data)
        self._at += len(head) + len(data)


def complete(directory: int, name: bytes) -> None:
    """Carry out the journal ``name``, if it is one and whole. Raises OSError; the journal stays."""
    if not name.startswith(PREFIX):
        return
    fd = os.open(name, _OPEN, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or not _is_whole(fd):
            return
        _, inode, length = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
        with suppress(FileNotFoundError):  # the file went, and with it the need to change it
            file = os.open(os.pread(fd, length, _HEADER.size), _OPEN, dir_fd=directory)
            try:
                if os.fstat(file).st_ino == inode:
                    _replay(fd, file)
            finally:
                os.close(file)
    finally:
        os.close(fd)


def _is_whole(fd: int) -> bool:
    size = os.fstat(fd).st_size - _DIGEST
    if size < _HEADER.size or os.pread(fd, len(_MAGIC), 0) != _MAGIC:
        return False
    digest = blake3()
    for offset in range(0, size, _STEP):
        digest.update(os.pread(fd, min(_STEP, size - offset), offset))
    return os.pread(fd, _DIGEST, size) == digest.digest()


def _replay(journal: int, file: int) -> None:
    at = _HEADER.size + _HEADER.unpack(os.pread(journal, _HEADER.size, 0))[2]
    while True:
        kind, offset, length = _RECORD.unpack(os.pread(journal, _RECORD.size, at))
        at += _RECORD.size
        if kind == _END:
            break
        if kind == _HOLE:
            punch(file, offset, length)
            continue
        for step in range(0, length, _STEP):
            part = os.pread(journal, min(_STEP, length - step), at + step)
            write_at(file, part, offset + step)
        at += length
    os.ftruncate(file, offset)
    os.fdatasync(file)
