"""In what two names differ, purely, and in words that people and logs can use."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from dtesx.mirror.diff import Links
from dtesx.mirror.tally import readable
from dtesx.model.verify import Aspect, Difference
from dtesx.wire.items import UNSURE, Item

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def kind(item: Item) -> str:
    """What an item is: file, directory, symlink, ..."""
    return _KINDS.get(item.kind, "unknown")


def differences(source: Item, target: Item) -> tuple[Difference, ...]:
    """All aspects in which two items of one name differ, content and hard links aside."""
    if source.kind != target.kind:
        return (Difference(Aspect.KIND, kind(source), kind(target)),)
    return tuple(_aspects(source, target))


def _aspects(source: Item, target: Item) -> Iterator[Difference]:
    if source.size != target.size:
        yield Difference(Aspect.SIZE, str(source.size), str(target.size))
    if source.mtime_ns != target.mtime_ns:
        yield Difference(Aspect.MODIFIED, moment(source.mtime_ns), moment(target.mtime_ns))
    if source.permissions != target.permissions:
        yield Difference(Aspect.MODE, f"{source.permissions:04o}", f"{target.permissions:04o}")
    if (source.uid, source.gid) != (target.uid, target.gid):
        yield Difference(Aspect.OWNER, f"{source.uid}:{source.gid}", f"{target.uid}:{target.gid}")
    if source.xattrs != target.xattrs:
        yield Difference(Aspect.ATTRIBUTES, _unlike(source, target), _unlike(target, source))
    if source.target != target.target:
        yield Difference(Aspect.LINK_TEXT, readable(source.target), readable(target.target))
    if source.rdev != target.rdev:
        yield Difference(Aspect.DEVICE, _device(source.rdev), _device(target.rdev))


def _unlike(mine: Item, other: Item) -> str:
    """The names of the extended attributes that only ``mine`` has so."""
    there = dict(other.xattrs)
    return ", ".join(readable(name) for name, value in mine.xattrs if there.get(name) != value) or "none"


def _device(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"


def moment(nanoseconds: int) -> str:
    """A time with all its digits, in UTC; ``unknown`` where a target does not vouch for a file."""
    if nanoseconds == UNSURE:
        return "unknown"
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


class HardLinks:
    """Whether names that are one file on the source are one file on the target, and no others."""

    def __init__(self) -> None:
        self._links = Links()

    def agree(self, source: Item, target: Item, path: bytes) -> bool:
        """Look at the next pair of names, in walking order."""
        group = self._links.group(source.link)
        if group is not None:
            return bool(group.inode) and target.link == group.inode
        claimed = self._links.claim(target.link, source.link)
        self._links.first(source.link, path, target.link if claimed else 0)
        return claimed
