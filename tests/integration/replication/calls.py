"""System calls on files that Python does not have."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from enum import IntEnum

_libc = ctypes.CDLL(None, use_errno=True)

_RENAME_EXCHANGE = 2  # renameat2(2)
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_FICLONERANGE = 0x4020940D  # ioctl_ficlonerange(2)
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602  # ioctl_iflags(2)
_FLAGS = struct.Struct("=i4x")
_CLONE_RANGE = struct.Struct("=qQQQ")


class Allocation(IntEnum):
    """What fallocate(2) does to a range; COLLAPSE and INSERT want whole blocks."""

    PUNCH = 0x3
    COLLAPSE = 0x8
    ZERO = 0x10
    INSERT = 0x20


class Flag(IntEnum):
    """Flags of chattr(1)."""

    IMMUTABLE = 0x10
    APPEND = 0x20
    NODUMP = 0x40


def exchange(one: bytes, other: bytes) -> None:
    """Exchange two names."""
    here = ctypes.c_int(_AT_FDCWD)
    _check(_libc.renameat2(here, one, here, other, ctypes.c_uint(_RENAME_EXCHANGE)))


def name(fd: int, path: bytes) -> None:
    """Give what is open a name."""
    _check(_libc.linkat(ctypes.c_int(fd), b"", ctypes.c_int(_AT_FDCWD), path, ctypes.c_int(_AT_EMPTY_PATH)))


def allocate(fd: int, how: Allocation, start: int, length: int) -> None:
    """Change the blocks of a file."""
    _check(
        _libc.fallocate(ctypes.c_int(fd), ctypes.c_int(how), ctypes.c_int64(start), ctypes.c_int64(length))
    )


def clone(fd: int, source: int, start: int, length: int, at: int) -> None:
    """Have a file share blocks of another one."""
    fcntl.ioctl(fd, _FICLONERANGE, _CLONE_RANGE.pack(source, start, length, at))


def has_flag(fd: int, flag: Flag) -> bool:
    """Whether a flag is set."""
    (flags,) = _FLAGS.unpack(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(_FLAGS.size)))
    return bool(flags & flag)


def set_flag(fd: int, flag: Flag, *, on: bool) -> None:
    """Set or clear a flag."""
    (flags,) = _FLAGS.unpack(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(_FLAGS.size)))
    fcntl.ioctl(fd, _FS_IOC_SETFLAGS, _FLAGS.pack(flags | flag if on else flags & ~flag))


def _check(done: int) -> None:
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
