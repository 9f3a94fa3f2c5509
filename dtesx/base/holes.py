"""Holes in files."""

from __future__ import annotations

import ctypes
import errno
import os

_STEP = 1 << 20
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


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
