"""Reading directories by descriptors: names sorted, no link followed, everything about each name."""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from dtesx import batch
from dtesx.base.working_directory import working_in
from dtesx.mirror.content import SMALL, foreign_link, sum_of_file
from dtesx.mirror.mounts import mounts_below
from dtesx.mirror.selection import Choice, Scope, Verdict
from dtesx.mirror.state import State
from dtesx.model.changes import Touch
from dtesx.model.paths import join
from dtesx.wire.items import HIDDEN_XATTRS, OWN_XATTRS, TEMPORARY_PREFIX, UNSURE, Item, Xattrs

_LOST_AND_FOUND = b"lost+found"
_AT_ONCE = 1024
# Timestamps beyond what the wire's 64-bit nanoseconds hold (the year 2262) are clamped.
_FAR_PAST, _FAR_FUTURE = 1 - (1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class WalkOptions:
    """What a walk leaves out, and whom it tells.

    ``scope`` selects the names that are looked at (None: all). ``problem`` gets path and reason of
    what cannot be read, ``reserved`` the descriptor of a directory and the name of a temporary file
    found in it, ``vanished`` the path of a directory that was gone when it was to be entered.
    ``leftover`` gets what ``reserved`` gets, before anything is looked at, and may change what is there.
    ``remap`` turns the text of a symlink into what the target's is to be. Files whose state changed
    at or after ``doubt_from`` (ctime, nanoseconds) get the time UNSURE. With ``sums``,
    files that travel whole are read and get the sum of their content.
    """

    problem: Callable[[bytes, str], None]
    scope: Scope | None = None
    reserved: Callable[[int, bytes], None] = lambda _fd, _name: None
    leftover: Callable[[int, bytes], None] | None = None
    vanished: Callable[[bytes], None] = lambda _path: None
    remap: Callable[[bytes], bytes] | None = None
    xattrs: bool = True
    doubt_from: int | None = None
    sums: bool = False


class Visit(msgspec.Struct, eq=False):
    """A directory that is being looked at (``entered``) or left with everything below it.

    ``fd`` is valid until the walk goes on; it is -1 on leaving a directory that was moved away
    meanwhile. ``entries`` must be used up before: it finds the directories ``below`` to descend into.
    Who knows them otherwise may fill them in instead. ``names`` is all that is there, sorted.

    ``hidden`` are names that were not looked at or could not be read, ``mounts`` directories on other
    file systems, which are not descended into, ``followed`` symlinks that stand for directories;
    ``sockets`` were found and do not travel. What stat(2) said about each name is added to
    ``state``, if there is one. ``top``: a file system begins here. ``plain``: nothing is left
    out, and all of it is on the root's file system. ``only``: these names alone are looked at,
    for what happened to them, and are in ``names`` whether they are there or not; None: all.
    """

    path: bytes
    fd: int
    entered: bool
    entries: Iterator[Item]
    status: os.stat_result
    scope: Scope | None = None
    top: bool = False
    plain: bool = False
    only: Mapping[bytes, Touch] | None = None
    names: list[bytes] = []
    below: list[bytes] = []
    scopes: dict[bytes, Scope] = {}
    followed: set[bytes] = set()
    hidden: set[bytes] = set()
    mounts: set[bytes] = set()
    sockets: int = 0
    state: State | None = None

    def spares(self, target: Item) -> bool:
        """Whether a name that only the target has is to be left alone there."""
        if target.name in self.hidden:
            return True
        if self.scope is None:
            return False
        choice = self.scope.choose(target.name)
        return choice.verdict(target.mode) is Verdict.EXCLUDED


def own_item(fd: int) -> Item:
    """The item of the directory behind a descriptor, nameless."""
    status = os.fstat(fd)
    return _item(b"", status, fd, b"")


def reason(error: OSError) -> str:
    """Why something failed, without its path."""
    return error.strerror or str(error)


class Scanner:
    """Reads single directories of the tree behind ``root``, which is on ``device``."""

    def __init__(self, root: int, options: WalkOptions) -> None:
        self._options = options
        self._examines = options.sums or options.doubt_from is not None
        self.device = os.fstat(root).st_dev
        self._mounted: dict[bytes, set[bytes]] = {}
        for path in mounts_below(root):
            directory, _, name = path.rpartition(b"/")
            self._mounted.setdefault(directory, set()).add(name)

    def look(
        self,
        path: bytes,
        fd: int,
        scope: Scope | None,
        *,
        above: int | None = None,
        only: Mapping[bytes, Touch] | None = None,
    ) -> Visit:
        """The directory at ``path``, open as ``fd``; raises OSError when it cannot be read.

        ``above`` is the device that the directory above is on; None for the root. ``only`` are the
        names to look at, with what happened to them; None: all.
        """
        status = os.fstat(fd)
        names = self._tidied(fd, _listed(fd)) if only is None else sorted(only)
        visit = Visit(path, fd, True, iter(()), status, scope, only=only, names=names)
        visit.top = status.st_dev != above
        if visit.top and is_mount_root(fd):
            visit.hidden.add(_LOST_AND_FOUND)
        visit.plain = (
            only is None and scope is None and status.st_dev == self.device and path not in self._mounted
        )
        visit.entries = self._entries(visit)
        return visit

    def _entries(self, visit: Visit) -> Iterator[Item]:
        names, choices = _wanted(visit)
        for start in range(0, len(names), _AT_ONCE):
            # No name is handed out before the next ones are wanted: who takes them may work elsewhere.
            with working_in(visit.fd) as prefix:
                some = names[start : start + _AT_ONCE]
                found = self._many(visit, some, prefix)
                if found is None:
                    found = list(self._some(visit, some, choices, prefix, visit.state))
            yield from found

    def _many(self, visit: Visit, names: list[bytes], prefix: bytes) -> list[Item] | None:
        """What ``_some`` yields, in fewer steps; None where names must be looked at one by one."""
        if batch.native is None or self._examines or visit.hidden or not visit.plain:
            return None
        if _temporary(names):
            return None
        own = OWN_XATTRS if self._options.xattrs else None
        items, rest, facts, newest = batch.native.look(visit.fd, prefix, names, own, Item)
        if visit.state is not None:
            visit.state.add(facts, newest)
        if self._options.remap is not None:
            rest = [number for number, item in enumerate(items) if item is None or item.target]
        others = [(number, list(self._some(visit, [names[number]], {}, prefix, None))) for number in rest]
        for number, found in reversed(others):
            items[number : number + 1] = found
        return items  # type: ignore[return-value]  # whatever was None has been replaced

    def _some(
        self,
        visit: Visit,
        names: list[bytes],
        choices: dict[bytes, Choice],
        prefix: bytes,
        state: State | None,
    ) -> Iterator[Item]:
        fd, options, hidden = visit.fd, self._options, visit.hidden
        foreign = visit.status.st_dev != self.device
        for name in names:
            if name in hidden or (name.startswith(TEMPORARY_PREFIX) and self._reserved(fd, name)):
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if choices:
                    settled = _settled(visit, name, choices[name], status)
                    if settled is None:
                        continue
                    status = settled
                item = _item(name, status, prefix + name if options.xattrs else None, name, fd)
                if state is not None:
                    state.note(status)
                if item.mode & 0o170000 != stat.S_IFREG:
                    named = bool(choices) and choices[name].named
                    special = self._special(visit, item, status, named, prefix)
                    if special is None:
                        continue
                    item = special
                elif self._examines:
                    item = self._examined(item, status, fd)
            except OSError as error:
                self._unreadable(visit, name, error)
                continue
            yield _on_other_device(item, status) if foreign and item.link else item

    def _examined(self, item: Item, status: os.stat_result, fd: int) -> Item:
        """A regular file whose state alone does not tell enough."""
        doubt_from = self._options.doubt_from
        if doubt_from is not None and status.st_ctime_ns >= doubt_from:
            item = msgspec.structs.replace(item, mtime_ns=UNSURE)
        if self._options.sums and item.size <= SMALL:
            item = msgspec.structs.replace(item, sum=sum_of_file(item.name, fd))
        return item

    def _special(
        self, visit: Visit, item: Item, status: os.stat_result, named: bool, prefix: bytes
    ) -> Item | None:
        """Deal with what is no regular file; None for what does not travel."""
        kind = item.kind
        if kind == stat.S_IFSOCK:
            visit.sockets += 1
            return None
        if kind == stat.S_IFLNK and self._options.remap is not None:
            return msgspec.structs.replace(item, target=self._options.remap(item.target))
        if kind == stat.S_IFDIR:
            mounted = status.st_dev != visit.status.st_dev or item.name in self._mounted.get(visit.path, ())
            if mounted and not named:
                visit.mounts.add(item.name)
            else:
                visit.below.append(item.name)
            if item.name in visit.followed and self._options.xattrs:
                return msgspec.structs.replace(item, xattrs=read_xattrs(prefix + item.name + b"/."))
        return item

    def _reserved(self, fd: int, name: bytes) -> bool:
        self._options.reserved(fd, name)
        return True

    def _tidied(self, fd: int, names: list[bytes]) -> list[bytes]:
        leftover = self._options.leftover
        if leftover is None or not (temporary := _temporary(names)):
            return names
        for name in temporary:
            leftover(fd, name)
        return _listed(fd)

    def _unreadable(self, visit: Visit, name: bytes, error: OSError) -> None:
        # What vanished since the directory was listed is gone; anything else must not look so.
        if error.errno != errno.ENOENT:
            visit.hidden.add(name)
            self._options.problem(join(visit.path, name), reason(error))


def _temporary(names: list[bytes]) -> list[bytes]:
    """Those of the sorted names that are temporary ones."""
    first = end = bisect_left(names, TEMPORARY_PREFIX)
    while end < len(names) and names[end].startswith(TEMPORARY_PREFIX):
        end += 1
    return names[first:end]


def _listed(fd: int) -> list[bytes]:
    if batch.native is not None:
        return batch.native.names(fd)
    return sorted(map(os.fsencode, os.listdir(fd)))


def _wanted(visit: Visit) -> tuple[list[bytes], dict[bytes, Choice]]:
    """The names that may be in the set, and what the rules say about them."""
    scope = visit.scope
    if scope is None:
        return visit.names, {}
    choices = {name: scope.choose(name) for name in visit.names}
    visit.hidden.update(name for name, choice in choices.items() if choice.nothing and choice.protected)
    return [name for name in visit.names if not choices[name].nothing], choices


def _settled(visit: Visit, name: bytes, choice: Choice, status: os.stat_result) -> os.stat_result | None:
    """The state of a name that is in the set, now that its kind is known; None when it is not.

    A symlink in a rule's path above what the rule takes stands for the directory it leads to.
    """
    verdict = choice.verdict(status.st_mode)
    if verdict is not Verdict.TAKEN and choice.named and stat.S_ISLNK(status.st_mode):
        followed = os.stat(name, dir_fd=visit.fd)
        if stat.S_ISDIR(followed.st_mode):
            visit.followed.add(name)
            status, verdict = followed, choice.directory
    if verdict is Verdict.TAKEN:
        if choice.below is not None:
            visit.scopes[name] = choice.below
        return status
    if verdict is Verdict.EXCLUDED:
        visit.hidden.add(name)
    return None


def _on_other_device(item: Item, status: os.stat_result) -> Item:
    """Inode numbers are unique on one device only; two devices must not share a link number."""
    return msgspec.structs.replace(item, link=foreign_link(status))


def _item(
    name: bytes, status: os.stat_result, path: bytes | int | None, link_name: bytes, fd: int | None = None
) -> Item:
    mode = status.st_mode
    kind = mode & 0o170000
    mtime = status.st_mtime_ns
    if not _FAR_PAST <= mtime <= _FAR_FUTURE:
        mtime = min(max(mtime, _FAR_PAST), _FAR_FUTURE)
    return Item(
        name,
        mode,
        status.st_uid,
        status.st_gid,
        mtime,
        status.st_size if kind == stat.S_IFREG else 0,
        status.st_ino if status.st_nlink > 1 and kind != stat.S_IFDIR else 0,
        status.st_rdev if kind in (stat.S_IFBLK, stat.S_IFCHR) else 0,
        os.readlink(link_name, dir_fd=fd) if kind == stat.S_IFLNK else b"",
        read_xattrs(path) if path is not None else (),
    )


def read_xattrs(path: bytes | int) -> Xattrs:
    """All extended attributes of a path (not followed) or of an open file, sorted by name.

    Empty on a file system that has none.
    """
    follow = isinstance(path, int)
    try:
        names = os.listxattr(path, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return ()
        raise
    if not names:
        return ()
    found = []
    for name in sorted(map(os.fsencode, names)):
        if name.startswith(HIDDEN_XATTRS):
            continue
        try:
            found.append((name, os.getxattr(path, name, follow_symlinks=follow)))
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed since it was listed
                raise
    return tuple(found)


def is_mount_root(fd: int) -> bool:
    """Whether an open directory is where a file system is mounted."""
    here, above = os.fstat(fd), os.stat("..", dir_fd=fd)
    return here.st_dev != above.st_dev or here.st_ino == above.st_ino
