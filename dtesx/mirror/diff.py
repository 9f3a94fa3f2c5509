"""The difference between two trees, purely: which name is to be sent, changed, linked or removed."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from dtesx.mirror.content import SMALL
from dtesx.mirror.sums import BLOCK
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory


class Action(Enum):
    """What has to happen to one name (not a directory) of the target.

    COMPARE: both have a large file, and what differs of its content is to be found out.
    """

    KEEP = auto()
    COMPARE = auto()
    CONTENT = auto()
    METADATA = auto()
    LINK = auto()


def pair(source: Iterable[Item], target: Iterable[Item]) -> Iterator[tuple[Item | None, Item | None]]:
    """Join two lists sorted by name: (both), (source, None) or (None, target)."""
    theirs = iter(target)
    other = next(theirs, None)
    for item in source:
        name = item.name
        while other is not None and other.name < name:
            yield None, other
            other = next(theirs, None)
        if other is not None and other.name == name:
            yield item, other
            other = next(theirs, None)
        else:
            yield item, None
    while other is not None:
        yield None, other
        other = next(theirs, None)


def same_metadata(a: Item, b: Item) -> bool:
    """Whether owner, mode, times and extended attributes agree."""
    return (
        a.mode == b.mode
        and a.uid == b.uid
        and a.gid == b.gid
        and a.mtime_ns == b.mtime_ns
        and a.xattrs == b.xattrs
    )


def _same_content(source: Item, target: Item) -> bool:
    if source.kind != target.kind:
        return False
    if source.kind == stat.S_IFREG:
        return (source.size, source.mtime_ns, source.sum) == (target.size, target.mtime_ns, target.sum)
    return source.rdev == target.rdev and source.target == target.target


@dataclass(frozen=True, slots=True)
class _Group:
    """A hard-linked file of the source: its first path, and the target's inode that it keeps (or 0)."""

    path: bytes
    inode: int


class Links:
    """Which names belong together, on both sides.

    A file of the target that has several names may stay for one file of the source only: the
    second one that would keep it is sent anew, so that no two files of the source end up as one.
    Memory is taken for files with several names alone.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._claims: dict[int, int] = {}

    def renewed(self) -> Links:
        """The same files of the target stay claimed, but no first names are known."""
        links = Links()
        links._claims = self._claims
        return links

    def group(self, link: int) -> _Group | None:
        """The group that an earlier name of the same file made."""
        return self._groups.get(link) if link else None

    def first(self, link: int, path: bytes, inode: int) -> None:
        """Note the first name of a file that has several; ``inode`` is what the target keeps for it."""
        if link:
            self._groups[link] = _Group(path, inode)

    def forget(self, link: int) -> None:
        """The first name could not be sent: the next one will be the first."""
        self._groups.pop(link, None)

    def claim(self, inode: int, link: int) -> bool:
        """Claim a shared inode of the target for a file of the source; False when another has it."""
        if not inode:
            return True
        if not link:
            link = -1 - len(self._claims)  # which no other file has
        return self._claims.setdefault(inode, link) == link


def decide(
    source: Item,
    target: Item | None,
    path: bytes,
    links: Links,
    options: MirrorOptions,
    *,
    written: bool = False,
) -> tuple[Action, bytes]:
    """What to do about one name that is no directory on the source; for LINK, with the path to link to.

    ``written``: content may differ although size and times are the same.
    """
    group = links.group(source.link)
    if group is not None:
        kept = target is not None and group.inode and target.link == group.inode
        return (Action.KEEP, b"") if kept else (Action.LINK, group.path)
    if target is None or options.compare is Compare.NONE:
        links.first(source.link, path, 0)
        return Action.CONTENT, b""
    same = _same_content(source, target) and not written
    if options.newer_only and not same and source.mtime_ns <= target.mtime_ns:
        links.first(source.link, path, target.link)
        return Action.KEEP, b""
    blocks = _by_blocks(source, target)
    if not (same or blocks) or not links.claim(target.link, source.link):
        links.first(source.link, path, 0)
        return Action.CONTENT, b""
    links.first(source.link, path, target.link)
    if blocks and (not same or options.compare is Compare.DATA):
        return Action.COMPARE, b""
    return (Action.KEEP if same_metadata(source, target) else Action.METADATA), b""


def _by_blocks(source: Item, target: Item) -> bool:
    """Whether two files are large enough to find out which of their blocks differ."""
    if source.kind != stat.S_IFREG or target.kind != stat.S_IFREG:
        return False
    return source.size > SMALL and target.size >= BLOCK


class Listings:
    """The target's directories as they stream in, asked for in walking order."""

    def __init__(self, directories: Iterable[Directory]) -> None:
        self._directories = iter(directories)
        self._head = next(self._directories, None)

    @property
    def root(self) -> Item | None:
        """The target's root directory itself; only before anything was taken."""
        return self._head.own if self._head is not None else None

    def take(self, path: bytes) -> Iterator[Item]:
        """The names that the target has in ``path``; none when it has no such directory.

        Paths must be asked for in walking order; directories passed over are dropped.
        """
        wanted = walking_order(path)
        while self._head is not None and walking_order(self._head.path) < wanted:
            self._head = next(self._directories, None)
        while self._head is not None and self._head.path == path:
            yield from self._head.items
            self._head = next(self._directories, None)

    def drain(self) -> None:
        """Pass over all that is left."""
        while self._head is not None:
            self._head = next(self._directories, None)


def walking_order(path: bytes) -> list[bytes]:
    """Sort key of directories: parents before children, siblings by name."""
    return path.split(b"/") if path else []
