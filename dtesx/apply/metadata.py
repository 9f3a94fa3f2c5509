"""Giving files their owner, mode, extended attributes, times and flags."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable

from dtesx.apply.errors import Fate, fate, has_room
from dtesx.wire.items import OWN_XATTRS, Item

_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602  # FS_IOC_[GS]ETFLAGS, linux/fs.h
_LOCKING = 0x10 | 0x20  # immutable, append only

# Also: secure delete, undelete, compress, sync, nodump, noatime, journal data, notail, dirsync,
# topdir, nocow. The other bits say how the file system stores the file; they are its own business.
SETTABLE = _LOCKING | 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x800000
"""The chattr(1) flags that are kept."""

_SPECIAL_BITS = 0o7000

Complain = Callable[[str], None]
"""Takes the reason why an attribute could not be set."""


def settle(
    target: int | bytes, item: Item, atime_ns: int, current: os.stat_result, complain: Complain
) -> None:
    """Give ``target`` (descriptor or /proc/self/fd path) all metadata of ``item`` but its flags.

    ``current`` is its state now. What the file system refuses goes to ``complain``, one attribute
    at a time; a full or broken file system raises OSError. Order matters: a change of owner clears setuid
    and capabilities, an ACL changes the mode, and all of it is over before the times are set.
    """
    if item.uid != current.st_uid or item.gid != current.st_gid:
        _try(complain, "owner", lambda: os.chown(target, item.uid, item.gid))
    _try(complain, "extended attributes", lambda: _set_xattrs(target, item, complain))
    if item.kind != stat.S_IFLNK:
        _try(complain, "mode", lambda: os.chmod(target, item.permissions))  # noqa: PTH101
    _try(complain, "times", lambda: os.utime(target, ns=(atime_ns, item.mtime_ns)))


def settle_directory(fd: int, item: Item, flags: int, complain: Complain) -> None:
    """All metadata of an open directory; ``flags`` is -1 where they are not known."""
    settle(fd, item, item.mtime_ns, os.fstat(fd), complain)
    if flags >= 0:
        set_flags(fd, flags, complain)


def settle_new(fd: int, item: Item, atime_ns: int, gid: int, complain: Complain) -> None:
    """The same for a regular file that this process just made with the item's rwx bits.

    The usual file needs one system call here; whatever fails is done again by ``settle``.
    """
    try:
        if item.uid != os.geteuid() or item.gid != gid:
            os.chown(fd, item.uid, item.gid)
        if item.mode & _SPECIAL_BITS:
            os.chmod(fd, item.permissions)
        for name, value in item.xattrs:
            os.setxattr(fd, name, value)
        os.utime(fd, ns=(atime_ns, item.mtime_ns))
    except OSError:
        settle(fd, item, atime_ns, os.fstat(fd), complain)


def _try(complain: Complain, what: str, action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        if fate(error) is not Fate.PATH:
            raise
        complain(f"{what}: {error.strerror}")


def _set_xattrs(target: int | bytes, item: Item, complain: Complain) -> None:
    wanted = dict(item.xattrs)
    try:
        present = [os.fsencode(name) for name in os.listxattr(target)]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        present = []
    for name in present:
        if name.startswith(OWN_XATTRS):
            continue
        if name not in wanted:
            _try(complain, _named(name), lambda name=name: os.removexattr(target, name))  # type: ignore[misc]
        elif os.getxattr(target, name) == wanted[name]:
            del wanted[name]
    for name, value in wanted.items():
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            too_large = error.errno == errno.ENOSPC and has_room(target)
            if not too_large and fate(error) is not Fate.PATH:
                raise
            complain(f"{_named(name)}: {'too large for this file system' if too_large else error.strerror}")


def _named(name: bytes) -> str:
    return f"attribute {name.decode(errors='backslashreplace')}"


def set_flags(fd: int, flags: int, complain: Complain) -> None:
    """Set the chattr(1) flags of an open file or directory that can be set."""
    try:
        present = _get_flags(fd)
        wanted = present & ~SETTABLE | flags & SETTABLE
        if wanted != present:
            fcntl.ioctl(fd, _SETFLAGS, struct.pack("=I4x", wanted))
    except OSError as error:
        if flags & SETTABLE or error.errno not in (errno.ENOTTY, errno.ENOTSUP):
            complain(f"flags: {error.strerror}")


def unlock(fd: int) -> bool:
    """Take immutable and append-only off an open file or directory; tells whether they were set."""
    try:
        present = _get_flags(fd)
        if not present & _LOCKING:
            return False
        fcntl.ioctl(fd, _SETFLAGS, struct.pack("=I4x", present & ~_LOCKING))
    except OSError:  # no such flags here: what failed did so for another reason
        return False
    return True


def has_flags(flags: int) -> bool:
    """Whether there is a flag that set_flags() would set."""
    return bool(flags > 0 and flags & SETTABLE)


def _get_flags(fd: int) -> int:
    value: int = struct.unpack_from("=I", fcntl.ioctl(fd, _GETFLAGS, bytes(8)))[0]
    return value
