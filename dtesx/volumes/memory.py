"""File systems in memory that nobody else sees: attached nowhere, gone with who opened them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dtesx.base.errors import DtesxError

# Numbers from the kernel's unified system call table (the same on every 64-bit architecture).
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
_SET_STRING, _CMD_CREATE = 1, 6
_CLOEXEC = 1

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def open_memory(size: int) -> Iterator[int]:
    """Yield a descriptor of an empty directory in memory that holds at most ``size`` bytes.

    What is kept there is freed when the context ends and no file of it is open any more. Needs root.
    Raises DtesxError.
    """
    context = _call(_SYS_FSOPEN, b"tmpfs", _CLOEXEC)
    try:
        _call(_SYS_FSCONFIG, context, _SET_STRING, b"size", b"%d" % size, 0)
        _call(_SYS_FSCONFIG, context, _SET_STRING, b"nr_inodes", b"0", 0)
        _call(_SYS_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        mount = _call(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    finally:
        os.close(mount)
    try:
        yield directory
    finally:
        os.close(directory)


def _call(number: int, *arguments: int | bytes | None) -> int:
    typed = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    done: int = _libc.syscall(ctypes.c_long(number), *typed)
    if done < 0:
        error = ctypes.get_errno()
        raise DtesxError(
            f"there can be no file system in memory: {os.strerror(error)}",
            hint="run dtesx as root, on a kernel from 5.2 on",
        )
    return done
