"""The flags of chattr(1), which may forbid everything else that is to be done with a file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from dtesx.wire.items import SETTABLE_FLAGS

_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602  # FS_IOC_[GS]ETFLAGS, linux/fs.h
_LOCKING = 0x10 | 0x20  # immutable, append only
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def put(fd: int, flags: int, complain: Callable[[str], None]) -> None:
    """Give an open file or directory the flags that can be set; ``complain`` gets why that fails."""
    try:
        present = _get(fd)
        wanted = present & ~SETTABLE_FLAGS | flags & SETTABLE_FLAGS
        if wanted != present:
            _set(fd, wanted)
    except OSError as error:
        if flags & SETTABLE_FLAGS or error.errno not in (errno.ENOTTY, errno.ENOTSUP):
            complain(f"flags: {error.strerror}")


def any_to_put(flags: int) -> bool:
    """Whether there is a flag that ``put`` would set."""
    return bool(flags > 0 and flags & SETTABLE_FLAGS)


@contextmanager
def off(fd: int) -> Iterator[bool]:
    """Meanwhile immutable and append-only are off an open file or directory; yields whether any was on."""
    taken = _take_off(fd)
    try:
        yield bool(taken)
    finally:
        if taken and os.fstat(fd).st_nlink:
            _set(fd, _get(fd) | taken)


@contextmanager
def off_name(directory: int, name: bytes) -> Iterator[bool]:
    """Like ``off``, for a directory and a name in it."""
    with ExitStack() as stack:
        changed = stack.enter_context(off(directory))
        if (fd := _lockable(directory, name)) is not None:
            stack.callback(os.close, fd)
            changed |= stack.enter_context(off(fd))
        yield changed


def insist(action: Callable[[], None], directory: int, name: bytes) -> None:
    """Do what flags of a directory or of a name in it may forbid; they are the same afterwards."""
    try:
        return action()
    except PermissionError as error:
        with off_name(directory, name) as changed:
            if not changed:
                raise error from None
            return action()


def rename(directory: int, name: bytes, to: int, new: bytes) -> None:
    """Rename, whatever flags of either directory or of the names forbid it. Raises OSError."""

    def action() -> None:
        os.rename(name, new, src_dir_fd=directory, dst_dir_fd=to)

    insist(lambda: insist(action, directory, name), to, new)


def take_off(directory: int, name: bytes) -> bool:
    """Take immutable and append-only off a directory and a name in it; tells whether any was on."""
    taken = _take_off(directory)
    if (fd := _lockable(directory, name)) is not None:
        taken |= _take_off(fd)
        os.close(fd)
    return bool(taken)


def _take_off(fd: int) -> int:
    try:
        present = _get(fd)
        if present & _LOCKING:
            _set(fd, present & ~_LOCKING)
    except OSError:  # no such flags here: what failed did so for another reason
        return 0
    return present & _LOCKING


def _lockable(directory: int, name: bytes) -> int | None:
    """A descriptor of a name that may have flags; None where only the directory may."""
    try:
        kind = stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        return os.open(name, _OPEN, dir_fd=directory) if kind in (stat.S_IFREG, stat.S_IFDIR) else None
    except OSError:  # not there, or not to be opened
        return None


def _get(fd: int) -> int:
    value: int = struct.unpack_from("=I", fcntl.ioctl(fd, _GETFLAGS, bytes(8)))[0]
    return value


def _set(fd: int, flags: int) -> None:
    fcntl.ioctl(fd, _SETFLAGS, struct.pack("=I4x", flags))
