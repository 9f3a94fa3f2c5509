"""Before changed bytes are read: make them clean, so that the kernel tells when they change again."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable

from dtesx.capture.ranges import END
from dtesx.model.spans import Span

# sync_file_range(2)
_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4

_MANY = 64  # spans: rather all that is between them than so many calls

_libc = ctypes.CDLL(None, use_errno=True)


def write_back(file: int, spans: Iterable[Span]) -> None:
    """Write what is dirty of a file to its device, without forcing that device; then read it.

    Whoever reads a whole file writes back ``(0, END)``. A read afterwards sees what was stored before;
    what is stored later makes a clean page dirty, and that is told. The size must be asked for
    afterwards, too: an append sets it before it lets go of its page. Waits for punching and the like
    that had begun. Raises OSError.
    """
    wanted = list(spans)
    if len(wanted) > _MANY:
        wanted = [(wanted[0][0], wanted[-1][1])]
    for flags in (_WRITE, _WAIT_BEFORE | _WRITE | _WAIT_AFTER):
        for start, end in wanted:
            _sync(file, start, 0 if end == END else end - start, flags)
    await_writers(file)


def await_writers(file: int) -> None:
    """Return when those are done who write to a file, punch holes into it and the like. Raises OSError."""
    # ext4 and XFS: these wait for who holds the inode.
    os.lseek(file, 0, os.SEEK_HOLE)
    os.pread(file, 1, 0)


def write_back_all(directory: int) -> None:
    """Write what is dirty in the file system that an open directory is in. Raises OSError."""
    if _libc.syncfs(ctypes.c_int(directory)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sync(file: int, start: int, length: int, flags: int) -> None:
    # Direct I/O beside mappings leaves one error behind that says nothing about the data.
    if (number := _range(file, start, length, flags)) == errno.EIO:
        number = _range(file, start, length, flags)
    if number:
        raise OSError(number, os.strerror(number))


def _range(file: int, start: int, length: int, flags: int) -> int:
    done = _libc.sync_file_range(
        ctypes.c_int(file), ctypes.c_int64(start), ctypes.c_int64(length), ctypes.c_uint(flags)
    )
    return ctypes.get_errno() if done < 0 else 0
