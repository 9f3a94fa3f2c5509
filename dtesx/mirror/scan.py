"""Walking a tree by descriptors: parents first, names sorted, one file system, no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from dtesx.mirror.content import SMALL, sum_of_file
from dtesx.mirror.mounts import mounts_below
from dtesx.mirror.selection import Choice, Scope, Verdict
from dtesx.wire.items import OWN_XATTRS, TEMPORARY_PREFIX, UNSURE, Item, Xattrs

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOST_AND_FOUND = b"lost+found"
_HELD = 64
# Timestamps beyond what the wire's 64-bit nanoseconds hold (the year 2262) are clamped.
_FAR_PAST, _FAR_FUTURE = 1 - (1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class WalkOptions:
    """What a walk leaves out, and whom it tells.

    ``scope`` selects the names that are looked at (None: all). ``problem`` gets path and reason of
    what cannot be read, ``leftover`` the descriptor of a directory and the name of a temporary file
    found in it, ``socket`` is called for every socket (they do not travel). ``remap`` turns the text
    of a symlink into what the target's is to be. Files whose state changed at or after
    ``doubt_from`` (ctime, nanoseconds) get the time UNSURE. With ``sums``,
    files that travel whole are read and get the sum of their content.
    """

    problem: Callable[[bytes, str], None]
    scope: Scope | None = None
    leftover: Callable[[int, bytes], None] = lambda _fd, _name: None
    socket: Callable[[], None] = lambda: None
    remap: Callable[[bytes], bytes] | None = None
    xattrs: bool = True
    doubt_from: int | None = None
    sums: bool = False


@dataclass(slots=True)
class Visit:
    """A directory that is being looked at (``entered``) or left with everything below it.

    ``entries`` must be used up before the walk goes on: it finds the directories to descend into.
    ``fd`` is valid until then, too; it is -1 on leaving a directory that was moved away meanwhile.
    ``hidden`` are names that were not looked at or could not be read, ``mounts`` directories on other
    file systems, which are not descended into.
    """

    path: bytes
    fd: int
    entered: bool
    entries: Iterator[Item]
    hidden: set[bytes] = field(default_factory=set)
    mounts: set[bytes] = field(default_factory=set)
    scope: Scope | None = None

    def spares(self, target: Item) -> bool:
        """Whether a name that only the target has is to be left alone there."""
        if target.name in self.hidden:
            return True
        if self.scope is None:
            return False
        choice = self.scope.choose(target.name)
        return choice.verdict(target.mode) is Verdict.EXCLUDED


@dataclass(slots=True)
class _Level:
    """A directory between the root and where the walk is; ``fd`` is -1 while it is closed."""

    name: bytes
    fd: int
    flags: int
    status: os.stat_result
    scope: Scope | None
    below: list[bytes] = field(default_factory=list)
    scopes: dict[bytes, Scope] = field(default_factory=dict)
    followed: set[bytes] = field(default_factory=set)


def join(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory, both relative to the root."""
    return directory + b"/" + name if directory else name


def own_item(fd: int) -> Item:
    """The item of the directory behind a descriptor, nameless."""
    status = os.fstat(fd)
    return _item(b"", status, fd, b"")


def reason(error: OSError) -> str:
    """Why something failed, without its path."""
    return error.strerror or str(error)


def walk(root: int, options: WalkOptions) -> Iterator[Visit]:
    """Visit ``root`` (a directory descriptor) and every directory below it, on entering and on leaving.

    A directory that cannot be opened is told to ``options.problem`` and not visited. Other file
    systems are entered only where an include rule spells them out. However deep the tree is, the
    walk holds no more than 64 descriptors.
    """
    walker = _Walker(root, options)
    try:
        yield from walker.run()
    finally:
        walker.close()


class _Walker:
    def __init__(self, root: int, options: WalkOptions) -> None:
        self._options = options
        self._mounted: dict[bytes, set[bytes]] = {}
        for path in mounts_below(root):
            directory, _, name = path.rpartition(b"/")
            self._mounted.setdefault(directory, set()).add(name)
        fd = os.open(".", _OPEN, dir_fd=root)
        self._root = _Level(b"", fd, _OPEN, os.fstat(fd), options.scope)
        self._stack = [self._root]
        self._closed = 0
        self._path = b""

    def run(self) -> Iterator[Visit]:
        visit = self._enter(self._root)
        if visit is not None:
            yield visit
        while self._stack:
            level = self._stack[-1]
            if level.below:
                if (visit := self._descend(level, level.below.pop())) is not None:
                    yield visit
            else:
                yield Visit(self._path, level.fd, entered=False, entries=iter(()))
                self._leave()

    def close(self) -> None:
        for level in self._stack:
            if level.fd >= 0:
                os.close(level.fd)
        self._stack.clear()

    def _descend(self, level: _Level, name: bytes) -> Visit | None:
        path = join(self._path, name)
        flags = _OPEN & ~os.O_NOFOLLOW if name in level.followed else _OPEN
        try:
            fd = os.open(name, flags, dir_fd=level.fd)
        except OSError as error:
            self._options.problem(path, reason(error))
            return None
        self._stack.append(_Level(name, fd, flags, os.fstat(fd), level.scopes.get(name)))
        self._path = path
        if len(self._stack) - self._closed > _HELD:
            self._closed += 1  # so never the root: what was moved is looked for from there
            closing = self._stack[self._closed]
            os.close(closing.fd)
            closing.fd = -1
        visit = self._enter(self._stack[-1])
        if visit is None:
            self._leave()
        return visit

    def _leave(self) -> None:
        level = self._stack.pop()
        self._path = self._path[: -len(level.name) - 1]
        if self._stack and self._stack[-1].fd < 0:
            self._closed -= 1
            self._reopen(self._stack[-1], level.fd)
        if level.fd >= 0:
            os.close(level.fd)

    def _reopen(self, level: _Level, below: int) -> None:
        """Open a level again by the way up, or by the way down where something was moved meanwhile."""
        if below >= 0:
            level.fd = _open_same(level, b"..", below, _OPEN)
        if level.fd < 0:
            level.fd = self._from_root()
        if level.fd < 0:
            self._options.problem(self._path, "was moved while it was read")
            level.below.clear()

    def _from_root(self) -> int:
        fd = os.dup(self._root.fd)
        for level in self._stack[1:]:
            below = _open_same(level, level.name, fd, level.flags)
            os.close(fd)
            if below < 0:
                return -1
            fd = below
        return fd

    def _enter(self, level: _Level) -> Visit | None:
        try:
            names = sorted(map(os.fsencode, os.listdir(level.fd)))  # noqa: PTH208
        except OSError as error:
            self._options.problem(self._path, reason(error))
            return None
        visit = Visit(self._path, level.fd, entered=True, entries=iter(()), scope=level.scope)
        top = level is self._root or level.status.st_dev != self._stack[-2].status.st_dev
        if top and _is_mount_root(level.fd):
            visit.hidden.add(_LOST_AND_FOUND)
        visit.entries = self._entries(level, names, visit)
        return visit

    def _entries(self, level: _Level, names: list[bytes], visit: Visit) -> Iterator[Item]:
        fd, options = level.fd, self._options
        names, choices = _wanted(names, visit)
        foreign = level.status.st_dev != self._root.status.st_dev
        prefix = b"/proc/self/fd/%d/" % fd
        for name in names:
            if name in visit.hidden or (name.startswith(TEMPORARY_PREFIX) and self._leftover(fd, name)):
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if choices:
                    settled = _settled(level, visit, name, choices[name], status)
                    if settled is None:
                        continue
                    status = settled
                item = _item(name, status, prefix + name if options.xattrs else None, name, fd)
                if item.mode & 0o170000 != stat.S_IFREG:
                    named = bool(choices) and choices[name].named
                    special = self._special(level, visit, item, status, named)
                    if special is None:
                        continue
                    item = special
                else:
                    if options.doubt_from is not None and status.st_ctime_ns >= options.doubt_from:
                        item = msgspec.structs.replace(item, mtime_ns=UNSURE)
                    if options.sums and item.size <= SMALL:
                        item = msgspec.structs.replace(item, sum=sum_of_file(name, fd))
            except OSError as error:
                self._unreadable(visit, name, error)
                continue
            yield _on_other_device(item, status) if foreign and item.link else item
        level.below.reverse()

    def _special(
        self, level: _Level, visit: Visit, item: Item, status: os.stat_result, named: bool
    ) -> Item | None:
        """Deal with what is no regular file; None for what does not travel."""
        kind = item.kind
        if kind == stat.S_IFSOCK:
            self._options.socket()
            return None
        if kind == stat.S_IFLNK and self._options.remap is not None:
            return msgspec.structs.replace(item, target=self._options.remap(item.target))
        if kind == stat.S_IFDIR:
            mounted = status.st_dev != level.status.st_dev or item.name in self._mounted.get(visit.path, ())
            if mounted and not named:
                visit.mounts.add(item.name)
            else:
                level.below.append(item.name)
            if item.name in level.followed and self._options.xattrs:
                through = b"/proc/self/fd/%d/%s/." % (level.fd, item.name)
                return msgspec.structs.replace(item, xattrs=read_xattrs(through))
        return item

    def _leftover(self, fd: int, name: bytes) -> bool:
        self._options.leftover(fd, name)
        return True

    def _unreadable(self, visit: Visit, name: bytes, error: OSError) -> None:
        # What vanished since the directory was listed is gone; anything else must not look so.
        if error.errno != errno.ENOENT:
            visit.hidden.add(name)
            self._options.problem(join(visit.path, name), reason(error))


def _open_same(level: _Level, name: bytes, directory: int, flags: int) -> int:
    """Open ``name``, which the level had when it was entered; -1 when it is another directory now."""
    try:
        fd = os.open(name, flags, dir_fd=directory)
    except OSError:
        return -1
    if os.path.samestat(os.fstat(fd), level.status):
        return fd
    os.close(fd)
    return -1


def _wanted(names: list[bytes], visit: Visit) -> tuple[list[bytes], dict[bytes, Choice]]:
    """The names that may be in the set, and what the rules say about them."""
    if visit.scope is None:
        return names, {}
    choices = {name: visit.scope.choose(name) for name in names}
    visit.hidden.update(name for name, choice in choices.items() if choice.nothing and choice.protected)
    return [name for name in names if not choices[name].nothing], choices


def _settled(
    level: _Level, visit: Visit, name: bytes, choice: Choice, status: os.stat_result
) -> os.stat_result | None:
    """The state of a name that is in the set, now that its kind is known; None when it is not.

    A symlink in a rule's path above what the rule takes stands for the directory it leads to.
    """
    verdict = choice.verdict(status.st_mode)
    if verdict is not Verdict.TAKEN and choice.named and stat.S_ISLNK(status.st_mode):
        followed = os.stat(name, dir_fd=level.fd)
        if stat.S_ISDIR(followed.st_mode):
            level.followed.add(name)
            status, verdict = followed, choice.directory
    if verdict is Verdict.TAKEN:
        if choice.below is not None:
            level.scopes[name] = choice.below
        return status
    if verdict is Verdict.EXCLUDED:
        visit.hidden.add(name)
    return None


def _on_other_device(item: Item, status: os.stat_result) -> Item:
    """Inode numbers are unique on one device only; two devices must not share a link number."""
    return msgspec.structs.replace(item, link=hash((status.st_dev, status.st_ino)) & _FAR_FUTURE)


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
        if name.startswith(OWN_XATTRS):
            continue
        try:
            found.append((name, os.getxattr(path, name, follow_symlinks=follow)))
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed since it was listed
                raise
    return tuple(found)


def _is_mount_root(fd: int) -> bool:
    here, above = os.fstat(fd), os.stat("..", dir_fd=fd)
    return here.st_dev != above.st_dev or here.st_ino == above.st_ino
