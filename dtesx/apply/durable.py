"""Making everything that was applied below a root durable at once."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(fd: int) -> None:
    """syncfs(2): returns when all of the file system behind ``fd`` is on disk; raises OSError.

    One call for any number of files. Since Linux 5.8 it also reports earlier write-back errors.
    """
    if _libc.syncfs(ctypes.c_int(fd)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
