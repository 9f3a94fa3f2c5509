"""fanotify(7): the kernel reports names that change anywhere in a file system."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator

from dtesx.capture.errors import NotWatchable
from dtesx.capture.events import (
    ATTRIB,
    CREATE,
    DELETE,
    FIXED,
    MOVED_FROM,
    MOVED_TO,
    ON_DIRECTORY,
    RENAME,
    Event,
    parse,
)

# linux/fanotify.h
_CLOEXEC, _NONBLOCK = 0x1, 0x2
_UNLIMITED_QUEUE, _UNLIMITED_MARKS = 0x10, 0x20
_REPORT = 0x200 | 0x400 | 0x800  # handles of files and of directories, and names
_REPORT_TARGET = 0x1000  # also of what was made, renamed or removed
_INIT = _CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE | _UNLIMITED_MARKS | _REPORT
_MARK_ADD, _MARK_REMOVE, _MARK_FILESYSTEM = 0x1, 0x2, 0x100
_EVENTS = CREATE | DELETE | ATTRIB | ON_DIRECTORY
_FIONREAD = 0x541B
_AT_ONCE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)

_AS_ROOT = "run dtesx as root, outside of containers that lack CAP_SYS_ADMIN"
_SCAN = "changes here can only be found by scans"
_WHY = {
    errno.EPERM: ("not allowed to watch file systems", _AS_ROOT),
    errno.ENOSYS: ("this kernel has no fanotify", _SCAN),
    errno.EINVAL: ("this kernel's fanotify does not report names", _SCAN),
    errno.ENODEV: ("this file system has no number that events could carry", _SCAN),
    errno.EOPNOTSUPP: ("this file system has no file handles", _SCAN),
    errno.EXDEV: ("this subvolume cannot be watched by itself", _SCAN),
}


class Group:
    """A fanotify group: watches whole file systems, and is read by one thread.

    Raises NotWatchable where the kernel has no such thing for us.
    """

    def __init__(self) -> None:
        # Before Linux 5.17 events did not tell what was renamed.
        for flags in (_INIT | _REPORT_TARGET, _INIT):
            self._fd: int = _libc.fanotify_init(
                ctypes.c_uint(flags), ctypes.c_uint(os.O_RDONLY | os.O_LARGEFILE)
            )
            if self._fd >= 0:
                return
        raise _not_watchable(ctypes.get_errno())

    def fileno(self) -> int:
        """For poll(2)."""
        return self._fd

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)

    def watch(self, directory: int, contents: int) -> int:
        """Watch the file system that ``directory`` is in: for names, and these events of contents.

        Returns the mask in force. Raises NotWatchable.
        """
        events = _EVENTS | contents
        # Before RENAME (Linux 5.17) a rename was two events.
        for renames in (RENAME, MOVED_FROM | MOVED_TO):
            number = self._mark(_MARK_ADD, events | renames, directory)
            if not number:
                return events | renames
            if number != errno.EINVAL:
                break
        raise _not_watchable(number)

    def forget(self, directory: int, mask: int) -> None:
        """Watch the file system that ``directory`` is in no more."""
        number = self._mark(_MARK_REMOVE, mask, directory)
        if number not in (0, errno.ENOENT):
            raise _not_watchable(number)

    def read(self) -> Iterator[Event]:
        """The events that wait in the queue now; of those that come meanwhile, some.

        Raises MalformedEvents, OSError.
        """
        waiting = _waiting(self._fd)
        while waiting > 0:
            try:
                piece = os.read(self._fd, _AT_ONCE)
            except BlockingIOError:
                return
            for event in parse(piece):
                waiting -= 1
                yield event

    def _mark(self, flags: int, mask: int, directory: int) -> int:
        done = _libc.fanotify_mark(
            ctypes.c_int(self._fd),
            ctypes.c_uint(flags | _MARK_FILESYSTEM),
            ctypes.c_uint64(mask),
            ctypes.c_int(directory),
            ctypes.c_char_p(b"."),
        )
        return ctypes.get_errno() if done < 0 else 0


def _waiting(fd: int) -> int:
    # FIONREAD counts the fixed part of each event only, although much more can be read.
    (length,) = struct.unpack("=i", fcntl.ioctl(fd, _FIONREAD, bytes(4)))
    return int(length) // FIXED


def _not_watchable(number: int) -> NotWatchable:
    message, hint = _WHY.get(number, (f"changes cannot be watched: {os.strerror(number)}", _SCAN))
    return NotWatchable(message, hint=hint)
