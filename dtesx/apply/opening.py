"""Opening a directory of the replica: never through a link, never what is mounted over it."""

from __future__ import annotations

import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPENAT2 = 437  # on every architecture; Linux 5.6
_NO_XDEV, _NO_SYMLINKS, _BENEATH = 0x01, 0x04, 0x08  # RESOLVE_*, linux/openat2.h
_MISSING = (errno.ENOSYS, errno.EPERM)  # an older kernel, or a sandbox that does not know the call


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_how = _OpenHow(_FLAGS, 0, _NO_XDEV | _NO_SYMLINKS | _BENEATH)
_how_pointer, _how_size = ctypes.byref(_how), ctypes.c_size_t(ctypes.sizeof(_how))


def open_directory(parent: int, name: bytes) -> int:
    """Open the directory ``name`` (one component) in an open directory.

    Raises OSError; EXDEV when something is mounted there. A bind mount of the same file system is
    noticed by openat2(2) only; without it the device numbers are compared.
    """
    fd: int = _libc.syscall(_OPENAT2, parent, name, _how_pointer, _how_size)
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number in _MISSING:
        return _open_plainly(parent, name)
    if number == errno.EXDEV:
        raise _mounted()
    raise OSError(number, os.strerror(number))


def _open_plainly(parent: int, name: bytes) -> int:
    fd = os.open(name, _FLAGS, dir_fd=parent)
    if os.fstat(fd).st_dev != os.fstat(parent).st_dev:
        os.close(fd)
        raise _mounted()
    return fd


def _mounted() -> OSError:
    return OSError(errno.EXDEV, "another file system is mounted here on the target")
