"""Mounting file systems where nobody sees them: attached nowhere, gone with who holds them (fsmount(2))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

# Numbers from the kernel's unified system call table (the same on every 64-bit architecture).
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
_SET_FLAG, _SET_STRING, _CMD_CREATE = 0, 1, 6
_CLOEXEC = 1

_libc = ctypes.CDLL(None, use_errno=True)


def mount(kind: bytes, options: Mapping[bytes, bytes | None]) -> int:
    """A descriptor of the top of a file system of this ``kind``; an option without a value is None.

    Needs root and a kernel from 5.2 on. Raises OSError.
    """
    context = _call(_SYS_FSOPEN, kind, _CLOEXEC)
    try:
        for key, value in options.items():
            _call(_SYS_FSCONFIG, context, _SET_FLAG if value is None else _SET_STRING, key, value, 0)
        _call(_SYS_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        mounted = _call(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mounted)
    finally:
        os.close(mounted)


def _call(number: int, *arguments: int | bytes | None) -> int:
    typed = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    done: int = _libc.syscall(ctypes.c_long(number), *typed)
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return done
