"""Giving files their owner, mode, extended attributes and times."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from dtesx.apply import flags
from dtesx.apply.errors import Fate, fate, has_room
from dtesx.wire.items import HIDDEN_XATTRS, Item, Xattrs

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


def settle_directory(fd: int, item: Item, wanted: int, complain: Complain) -> None:
    """All metadata of an open directory; the ``wanted`` flags are -1 where they are not known."""
    refused: list[str] = []
    settle(fd, item, item.mtime_ns, os.fstat(fd), refused.append)
    if refused:
        with flags.off(fd):
            settle(fd, item, item.mtime_ns, os.fstat(fd), complain)
    if wanted >= 0:
        flags.put(fd, wanted, complain)


def settle_new(fd: int, item: Item, atime_ns: int, gid: int, complain: Complain) -> None:
    """The same for a regular file that this process just made with the item's rwx bits.

    The usual file needs one system call here; whatever fails is done again by ``settle``.
    """
    try:
        if item.uid != os.geteuid() or item.gid != gid:
            os.chown(fd, item.uid, item.gid)
        if item.mode & _SPECIAL_BITS:
            os.chmod(fd, item.permissions)
        for name, value in _theirs(item):
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


def _theirs(item: Item) -> Xattrs:
    """The attributes to set: what dtesx keeps on the target is not the source's to say."""
    return tuple(pair for pair in item.xattrs if not pair[0].startswith(HIDDEN_XATTRS)) if item.xattrs else ()


def _set_xattrs(target: int | bytes, item: Item, complain: Complain) -> None:
    wanted = dict(_theirs(item))
    try:
        present = [os.fsencode(name) for name in os.listxattr(target)]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        present = []
    for name in present:
        if name.startswith(HIDDEN_XATTRS):
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
