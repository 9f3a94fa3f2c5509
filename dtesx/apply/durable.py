"""Making everything that was applied below a root durable at once, and knowing when that did not happen."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from pathlib import Path

from dtesx.wire.items import OWN_XATTRS

_libc = ctypes.CDLL(None, use_errno=True)

_MARK = OWN_XATTRS + b"session"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The kernel stamps files with a clock that lags behind by up to a timer tick.
_CLOCK_SLACK_NS = 1_000_000_000
_LOST = "write-back-failed"  # in place of a boot: no boot has this name
_NO_MARK = (errno.ENODATA, errno.ENOTSUP)


def sync_file_system(fd: int) -> None:
    """syncfs(2): returns when all of the file system behind ``fd`` is on disk; raises OSError.

    One call for any number of files. Since Linux 5.8 it also reports earlier write-back errors.
    """
    if _libc.syncfs(ctypes.c_int(fd)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def set_mark(root: int, *, boot: str | None = None, now_ns: int | None = None) -> None:
    """Note on the root directory, durably, that from now on files change and are not synced.

    An earlier mark stays: what was doubtful then still is. A file system without trusted attributes
    goes unmarked. Raises OSError.
    """
    if _read_mark(root) is not None:
        return
    stamp = time.time_ns() if now_ns is None else now_ns
    try:
        os.setxattr(root, _MARK, f"{boot or _boot_id()} {stamp - _CLOCK_SLACK_NS}".encode())
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    os.fsync(root)


def distrust(root: int) -> None:
    """Note that the kernel may have lost what changed since the mark: the next listing doubts it.

    Call when sync_file_system() failed: the kernel tells of a failed write-back only once. Raises OSError.
    """
    mark = _read_mark(root)
    if mark is not None:
        os.setxattr(root, _MARK, f"{_LOST} {mark.partition(' ')[2]}".encode())


def clear_mark(root: int) -> None:
    """Note that everything below the root is on disk; call after sync_file_system(). Raises OSError."""
    try:
        os.removexattr(root, _MARK)
    except OSError as error:
        if error.errno not in _NO_MARK:
            raise


def doubt_from(root: int) -> int | None:
    """Since when (ctime, nanoseconds) files may have lost content to a crash of the machine; None: never."""
    mark = _read_mark(root)
    if mark is None:
        return None
    boot, _, since = mark.partition(" ")
    if boot == _boot_id():
        return None
    return int(since) if since.lstrip("-").isdigit() else 0


def _read_mark(root: int) -> str | None:
    try:
        return os.getxattr(root, _MARK).decode(errors="replace")
    except OSError as error:
        if error.errno in _NO_MARK:
            return None
        raise


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
