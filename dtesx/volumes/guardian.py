"""The process that freezes file systems, and thaws them whatever happens to who asked for it.

Run with the number of a socket and those of directories, one for each file system. Requests are
single datagrams: seconds as text freeze for so long at most, the freezing included; anything else
thaws. Answers are a word and how many seconds it took. It writes to no file and imports
little: what it needs must not lie behind what it froze.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import sys
import time
from collections.abc import Iterator

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # linux/fs.h
URGENT = 1
"""The priority (sched(7), SCHED_RR) of who has file systems frozen: all that write wait for it."""

MARKS = "/run/dtesx-frozen"
"""Has a file for each guardian, locked while it lives: the device numbers (stat(2)) of what it has frozen."""

_MCL_CURRENT, _MCL_FUTURE = 1, 2


def thaw(directories: list[int]) -> bool:
    """Thaw all of them; whether all were frozen until now."""
    whole = True
    for directory in directories:
        try:
            fcntl.ioctl(directory, FITHAW, 0)
        except OSError:
            whole = False
    return whole


def _freeze(directories: list[int]) -> int:
    """Freeze all of them, or none; returns the number of the error, 0 for none."""
    done: list[int] = []
    try:
        for directory in directories:
            fcntl.ioctl(directory, FIFREEZE, 0)
            done.append(directory)
    except OSError as error:
        thaw(done)
        return error.errno or errno.EIO
    return 0


@contextlib.contextmanager
def _mark() -> Iterator[int]:
    """Our file in MARKS; one in memory alone where there can be none."""
    path = f"{MARKS}/{os.getpid()}-{time.time_ns()}"
    try:
        os.makedirs(MARKS, 0o700, exist_ok=True)
        mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        yield os.memfd_create("mark")
        return
    try:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield mark
    finally:
        os.unlink(path)


def _serve(asked: socket.socket, directories: list[int], mark: int) -> None:
    devices = " ".join(str(os.fstat(directory).st_dev) for directory in directories).encode()
    poll, seconds = select.poll(), 0.0
    poll.register(asked, select.POLLIN)
    while request := asked.recv(64):
        if request == b"thaw":  # too late: the time was up
            asked.send(b"expired %.6f" % seconds)
            continue
        began, budget = time.monotonic(), float(request)
        with contextlib.suppress(OSError):  # no room
            os.pwrite(mark, devices, 0)
        refused = _freeze(directories)
        readable: list[tuple[int, int]] = []
        late = not refused and time.monotonic() - began >= budget
        try:
            if not refused and not late:
                asked.send(b"frozen")
                # Not select(2): the number of a socket that others opened may be beyond what that takes.
                readable = poll.poll(1000 * max(0.0, began + budget - time.monotonic()))
        finally:
            # Also when the other end is gone: then there is nobody else to do it.
            whole = bool(refused) or thaw(directories)
            seconds = time.monotonic() - began
            os.ftruncate(mark, 0)
        if refused:
            asked.send(b"refused %d" % refused)
        elif late:
            asked.send(b"late %.6f" % seconds)
        elif readable and asked.recv(64):
            asked.send(b"%s %.6f" % (b"thawed" if whole else b"expired", seconds))


def main() -> None:
    """Serve until the other end of the socket is closed."""
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(URGENT))
    numbers = [int(text) for text in sys.argv[1:]]
    with contextlib.suppress(OSError), socket.socket(fileno=numbers[0]) as asked, _mark() as mark:
        _serve(asked, numbers[1:], mark)


if __name__ == "__main__":
    main()
