"""Changing a file in place so that no crash leaves it half old and half new.

What is to be written goes to a journal beside the file first. When the journal is whole and on disk
the file is changed, and when that is on disk the journal is removed. Who finds a whole journal
(``complete``) carries it out again; one that is not whole means that the file was not touched.

A file may be hidden while it is changed: then it has a temporary name from before the first change
until it is whole, and nobody finds anything half changed under its own.
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

HIDDEN = TEMPORARY_PREFIX + b"hidden."
"""Names of files that are being changed by the journal of the same ending."""

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

    ``temporary`` is a temporary name that nothing else has. ``hides`` tells that the file is hidden while
    it is changed, until ``show``.

    Every method raises OSError, and may be repeated then. ``drop`` leaves the file as it was if
    ``carry_out`` was not called.
    """

    def __init__(
        self, directory: int, name: bytes, fd: int, temporary: bytes, *, hides: bool = False
    ) -> None:
        self._directory = directory
        self._file = fd
        self._name = name
        self._path = PREFIX + temporary.removeprefix(TEMPORARY_PREFIX)
        self._hides = hides
        self._hidden = self._touched = False
        self._fd = os.open(self._path, _NEW, 0o600, dir_fd=directory)
        self._hash = blake3()
        self.size = 0
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

    def pour(self, file: int) -> None:
        """Make the changes collected so far in another open file, which need not be on disk then."""
        _made(self._fd, file, self.size)

    def carry_out(self, size: int) -> None:
        """Change the file, which is ``size`` bytes long afterwards, and have that on disk."""
        if not self._touched:
            self._write(_RECORD.pack(_END, size, 0))
            write_at(self._fd, self._hash.digest(), self.size)
            os.fdatasync(self._fd)
            os.fsync(self._directory)
            self._touched = True
        if self._hides and not self._hidden:
            _rename(self._directory, self._name, hidden_by(self._path))
            self._hidden = True
        _replay(self._fd, self._file)

    def show(self) -> None:
        """Give a hidden file its name again: it is whole."""
        if self._hidden:
            _show(self._directory, hidden_by(self._path), self._name)
            self._hidden = False
        self._touched = False

    def drop(self) -> None:
        """Remove the journal, unless the file was changed and not shown: then who finds it completes that."""
        os.close(self._fd)
        if not self._touched:
            with suppress(FileNotFoundError):
                os.unlink(self._path, dir_fd=self._directory)

    def _write(self, head: bytes, data: memoryview | bytes = b"") -> None:
        write_at(self._fd, head, self.size)
        write_at(self._fd, data, self.size + len(head))
        # Only now: a record that failed is made again, in the same place.
        self._hash.update(head)
        self._hash.update(data)
        self.size += len(head) + len(data)


def hidden_by(journal: bytes) -> bytes:
    """The name of the file while the journal of this name changes it."""
    return HIDDEN + journal.removeprefix(PREFIX)


def journal_of(hidden: bytes) -> bytes:
    """The name of the journal that changes a hidden file."""
    return PREFIX + hidden.removeprefix(HIDDEN)


def complete(directory: int, name: bytes) -> None:
    """Carry out the journal ``name``, if it is one and whole. Raises OSError; the journal stays."""
    if not name.startswith(PREFIX):
        return
    fd = os.open(name, _OPEN, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or not _is_whole(fd):
            return
        _, inode, length = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
        own = os.pread(fd, length, _HEADER.size)
        if _changed(directory, hidden_by(name), inode, fd):
            if not is_there(directory, own):  # otherwise something has its name since
                _show(directory, hidden_by(name), own)
        else:
            _changed(directory, own, inode, fd)
    finally:
        os.close(fd)


def _changed(directory: int, name: bytes, inode: int, journal: int) -> bool:
    """Carry out a journal for the file ``name``; whether that is the one with this inode."""
    try:
        file = os.open(name, _OPEN, dir_fd=directory)
    except FileNotFoundError:  # it went, and with it the need to change it; or it has its other name
        return False
    try:
        ours = os.fstat(file).st_ino == inode
        if ours:
            _replay(journal, file)
        return ours
    finally:
        os.close(file)


def is_there(directory: int, name: bytes) -> bool:
    """Whether anything has a name in an open directory. Raises OSError."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _show(directory: int, hidden: bytes, name: bytes) -> None:
    """Give a hidden file its name; durable before the journal goes."""
    _rename(directory, hidden, name)
    os.fsync(directory)


def _rename(directory: int, old: bytes, new: bytes) -> None:
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def _is_whole(fd: int) -> bool:
    size = os.fstat(fd).st_size - _DIGEST
    if size < _HEADER.size or os.pread(fd, len(_MAGIC), 0) != _MAGIC:
        return False
    digest = blake3()
    for offset in range(0, size, _STEP):
        digest.update(os.pread(fd, min(_STEP, size - offset), offset))
    return os.pread(fd, _DIGEST, size) == digest.digest()


def _replay(journal: int, file: int) -> None:
    """Make all changes of a whole journal, and have them on disk."""
    size = _made(journal, file, os.fstat(journal).st_size)
    assert size is not None, "a journal without its end"
    os.ftruncate(file, size)
    os.fdatasync(file)


def _made(journal: int, file: int, end: int) -> int | None:
    """Make the changes that stand before ``end`` in a file; returns the size it is to have, where that is."""
    at = _HEADER.size + _HEADER.unpack(os.pread(journal, _HEADER.size, 0))[2]
    while at < end:
        kind, offset, length = _RECORD.unpack(os.pread(journal, _RECORD.size, at))
        at += _RECORD.size
        if kind == _END:
            return int(offset)
        if kind == _HOLE:
            punch(file, offset, length)
            continue
        for step in range(0, length, _STEP):
            part = os.pread(journal, min(_STEP, length - step), at + step)
            write_at(file, part, offset + step)
        at += length
    return None
