"""Copying parts of the target's own files: shared with the original where the file system can."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator

from dtesx.wire.sums import Basis

_READ = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNABLE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY)
_STEP = 1 << 20
_MAX = (1 << 63) - 1
_SHORTER = "became shorter on the target while it was copied"
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def open_basis(directory: int, name: bytes, basis: Basis, *, writable: bool) -> int:
    """Open the file that was compared; raises OSError when it is not the same any more."""
    fd = os.open(name, _READ | (os.O_RDWR if writable else os.O_RDONLY), dir_fd=directory)
    status = os.fstat(fd)
    now = Basis(status.st_ino, status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or now != basis:
        os.close(fd)
        raise OSError(errno.ESTALE, "changed on the target while it was compared")
    return fd


class Original:
    """The open file that parts are copied from; closed with ``close``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._known = (0, 0)

    def copy(self, new: int, start: int, offset: int, length: int) -> None:
        """Copy ``length`` bytes at ``start`` to ``offset`` of another file, holes left out.

        Raises OSError, also when this file ends before.
        """
        if start + length > os.fstat(self._fd).st_size:
            raise OSError(errno.ESTALE, _SHORTER)
        end = start + length
        for begin, stop in self._data(start, end):
            _copy_data(self._fd, new, begin, offset + begin - start, stop - begin)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _data(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts between ``start`` and ``end`` that are no holes."""
        while start < end:
            # Kept, because the search for the next hole may look at every page before it.
            if not self._known[0] <= start < self._known[1]:
                self._known = self._extent(start)
            begin, stop = max(start, self._known[0]), min(self._known[1], end)
            if begin < stop:
                yield begin, stop
            start = self._known[1]

    def _extent(self, start: int) -> tuple[int, int]:
        try:
            begin = os.lseek(self._fd, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return _MAX, _MAX
            if error.errno == errno.EINVAL:  # a file system that knows no holes
                return start, _MAX
            raise
        return begin, os.lseek(self._fd, begin, os.SEEK_HOLE)


def write_at(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``. Raises OSError."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def punch(fd: int, offset: int, length: int) -> None:
    """Make a part of a file a hole, or zeros where the file system has no holes. Raises OSError."""
    if not _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length):
        return
    number = ctypes.get_errno()
    if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    zeros, end = bytes(_STEP), min(offset + length, os.fstat(fd).st_size)
    while offset < end:
        offset += os.pwrite(fd, zeros[: end - offset], offset)


def _copy_data(old: int, new: int, start: int, offset: int, length: int) -> None:
    while length:
        try:
            count = os.copy_file_range(old, new, length, start, offset)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            count = os.pwrite(new, os.pread(old, min(_STEP, length), start), offset)
        if not count:
            raise OSError(errno.ESTALE, _SHORTER)
        start, offset, length = start + count, offset + count, length - count
