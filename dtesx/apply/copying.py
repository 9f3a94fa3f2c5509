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


def copy(old: int, new: int, start: int, offset: int, length: int) -> None:
    """Copy ``length`` bytes at ``start`` of one file to ``offset`` of another, holes left out.

    Raises OSError, also when the old file ends before.
    """
    if start + length > os.fstat(old).st_size:
        raise OSError(errno.ESTALE, "became shorter on the target while it was copied")
    for begin, end in _data(old, start, start + length):
        _copy_data(old, new, begin, offset + begin - start, end - begin)


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
            raise OSError(errno.ESTALE, "became shorter on the target while it was copied")
        start, offset, length = start + count, offset + count, length - count


def _data(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts between ``start`` and ``end`` that are no holes."""
    while start < end:
        try:
            begin = os.lseek(fd, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            if error.errno != errno.EINVAL:
                raise
            yield start, end
            return
        if begin >= end:
            return
        start = min(os.lseek(fd, begin, os.SEEK_HOLE), end)
        yield begin, start
