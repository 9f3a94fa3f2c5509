"""What is opened on a file system, as fanotify(7) tells it."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

# linux/fanotify.h: FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE; FAN_MARK_ADD | FAN_MARK_FILESYSTEM.
_INIT, _ADD = 0x01 | 0x02 | 0x10, 0x01 | 0x100
_OPEN, _ONDIR = 0x20, 0x40000000
_EVENT = struct.Struct("=IBBHQii")
_AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Opens:
    """The files and directories that were opened, once for each time."""

    files: list[Path] = field(default_factory=list)
    directories: list[Path] = field(default_factory=list)


@contextmanager
def watched(mount_point: Path) -> Iterator[Opens]:
    """Note what is opened on a file system; what was is known when the context has ended."""
    fd = _libc.fanotify_init(_INIT, os.O_RDONLY | os.O_CLOEXEC)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    opens = Opens()
    try:
        mark = (ctypes.c_uint(_ADD), ctypes.c_uint64(_OPEN | _ONDIR), ctypes.c_int(_AT_FDCWD))
        assert _libc.fanotify_mark(fd, *mark, os.fsencode(mount_point)) == 0, os.strerror(ctypes.get_errno())
        yield opens
        with suppress(BlockingIOError):
            while events := os.read(fd, 1 << 16):
                _note(events, opens)
    finally:
        os.close(fd)


def _note(events: bytes, opens: Opens) -> None:
    while events:
        length, _, _, _, _, fd, _ = _EVENT.unpack_from(events)
        events = events[length:]
        kind = opens.directories if stat.S_ISDIR(os.fstat(fd).st_mode) else opens.files
        kind.append(Path(f"/proc/self/fd/{fd}").readlink())
        os.close(fd)
