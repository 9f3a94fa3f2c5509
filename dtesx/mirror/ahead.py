"""Copies of what changed of large files, made before their tree stands still: little is left to read then."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from dtesx.mirror import content
from dtesx.mirror.delta import pieces_of
from dtesx.mirror.directories import Directories
from dtesx.model.changes import Changes, Touch
from dtesx.model.paths import join
from dtesx.model.spans import Spans

WHOLE = 1 << 20
"""Files of up to so many bytes are read whole."""

_STEP = 1 << 20
_SECTOR = 512  # of st_blocks, stat(2)
_FILE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Copy:
    """The changed parts of a file, in the file named ``file``; ``inode`` is the original's."""

    file: bytes
    inode: int


class Ahead:
    """Copies of files of one tree. ``files`` is a directory in memory, where they are kept."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._copies: dict[bytes, Copy] = {}
        self._unusable: set[bytes] = set()

    def update(self, root: int, late: Changes, pause: Callable[[], None]) -> None:
        """Copy what changed of large files below ``root`` (a descriptor) since the last time.

        What is stored from now on has to be among the changes that come later. What fails is left out.
        ``pause`` is called often; it may raise, and then the rest is left out.
        """
        waiting = {path: spans for path, spans in late.spans.items() if path not in self._unusable}
        for directory, names in late.names.items():
            for name, touch in names.items():
                path = join(directory, name)
                if Touch.APPEARED in touch or (Touch.CONTENT in touch and path not in waiting):
                    waiting.pop(path, None)
                    self._drop(path)
        try:
            with closing(Directories(root)) as directories:
                for path, spans in list(waiting.items()):
                    try:
                        self._copy(path, directories, spans, pause)
                    except OSError as error:
                        if error.errno == errno.ENOSPC:
                            break
                    else:
                        del waiting[path]
        finally:
            for path in waiting:
                self._drop(path)

    def take(self, path: bytes, status: os.stat_result, late: Changes) -> tuple[Copy, Spans] | None:
        """The copy of a file, and which parts of it may have changed since; None: there is none to use."""
        directory, _, name = path.rpartition(b"/")
        touch = late.names.get(directory, {}).get(name, Touch(0))
        unknown = Touch.CONTENT in touch and path not in late.spans
        copy = self._copies.pop(path, None)
        if copy is None or copy.inode != status.st_ino or unknown or Touch.APPEARED in touch:
            return None
        return copy, late.spans.get(path, ())

    def _drop(self, path: bytes) -> None:
        self._unusable.add(path)
        if (copy := self._copies.pop(path, None)) is not None:
            os.unlink(copy.file, dir_fd=self._files)

    def _copy(self, path: bytes, directories: Directories, spans: Spans, pause: Callable[[], None]) -> None:
        directory, _, name = path.rpartition(b"/")
        copy = self._copies.get(path)
        fd, status = content.open_with_status(name, directories.get(directory))
        try:
            if status.st_nlink > 1 or status.st_size <= WHOLE or (copy and copy.inode != status.st_ino):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            file = copy.file if copy is not None else b"ahead-%d" % len(self._copies)
            self._copies[path] = Copy(file, status.st_ino)
            copy_parts(fd, file, self._files, status, exactly(spans, status.st_size), pause)
        finally:
            os.close(fd)


def exactly(spans: Spans, size: int) -> Iterator[tuple[int, int]]:
    """What is read of a file of ``size`` bytes for its ``spans``, as (start, end)."""
    return pieces_of(spans, size, 0)


def copy_parts(
    fd: int,
    name: bytes,
    directory: int,
    status: os.stat_result,
    parts: Iterable[tuple[int, int]],
    pause: Callable[[], None],
) -> None:
    """Copy parts of a file to where they are in the file ``name``; holes stay holes.

    ``status`` is that of the original. Raises OSError, and what ``pause`` raises.
    """
    copy = os.open(name, _FILE, 0o600, dir_fd=directory)
    try:
        there = os.fstat(copy).st_blocks > 0
        os.ftruncate(copy, status.st_size)
        if status.st_blocks * _SECTOR >= status.st_size:  # it has no holes
            for start, end in parts:
                _copy(fd, copy, start, end, pause)
            return
        for start, end in parts:
            if there:
                _punch(copy, start, end - start)
            for offset, until in content.extents(fd, end, start):
                _copy(fd, copy, offset, until, pause)
    finally:
        os.close(copy)


def _copy(fd: int, copy: int, offset: int, end: int, pause: Callable[[], None]) -> None:
    while offset < end:
        pause()
        data = os.pread(fd, min(_STEP, end - offset), offset)
        if not data:
            return
        offset += os.pwrite(copy, data, offset)


def _punch(fd: int, offset: int, length: int) -> None:
    mode = ctypes.c_int(_PUNCH_HOLE | _KEEP_SIZE)
    if _libc.fallocate(ctypes.c_int(fd), mode, ctypes.c_int64(offset), ctypes.c_int64(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
