"""The process that freezes file systems, and thaws them whatever happens to who asked for it.

Run with the number of a socket and those of directories, one for each file system. Requests are
single datagrams: seconds as text freeze, anything else thaws. It writes to no file and imports
little: what it needs must not lie behind what it froze.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import select
import socket
import sys

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # linux/fs.h
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


def _freeze(directories: list[int]) -> str:
    """Freeze all of them, or none; returns why not."""
    done: list[int] = []
    try:
        for directory in directories:
            fcntl.ioctl(directory, FIFREEZE, 0)
            done.append(directory)
    except OSError as error:
        thaw(done)
        return error.strerror or str(error)
    return ""


def _serve(asked: socket.socket, directories: list[int]) -> None:
    while request := asked.recv(64):
        if request == b"thaw":  # too late: the time was up
            asked.send(b"expired")
            continue
        reason = _freeze(directories)
        try:
            asked.send(b"refused " + reason.encode() if reason else b"frozen")
            if not reason:
                readable = select.select([asked], [], [], float(request))[0]
        finally:
            # Also when the other end is gone: then there is nobody else to do it.
            whole = bool(reason) or thaw(directories)
        if not reason and readable and asked.recv(64):
            asked.send(b"thawed" if whole else b"expired")


def main() -> None:
    """Serve until the other end of the socket is closed."""
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE)
    numbers = [int(text) for text in sys.argv[1:]]
    with contextlib.suppress(OSError), socket.socket(fileno=numbers[0]) as asked:
        _serve(asked, numbers[1:])


if __name__ == "__main__":
    main()
