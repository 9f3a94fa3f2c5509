"""Walking a tree by descriptors: parents first, names sorted, one file system, no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from dtesx.wire.items import OWN_XATTRS, TEMPORARY_PREFIX, UNSURE, Item, Xattrs

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOST_AND_FOUND = b"lost+found"
# Timestamps beyond what the wire's 64-bit nanoseconds hold (the year 2262) are clamped.
_FAR_PAST, _FAR_FUTURE = 1 - (1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class Rules:
    """What a walk leaves out, and whom it tells.

    ``skip`` are paths relative to the root that are not looked at. ``problem`` gets path and reason
    of what cannot be read, ``leftover`` the descriptor of a directory and the name of a temporary
    file found in it, ``socket`` is called for every socket (they do not travel). Files whose state
    changed at or after ``doubt_from`` (ctime, nanoseconds) get the time UNSURE.
    """

    problem: Callable[[bytes, str], None]
    skip: frozenset[bytes] = frozenset()
    leftover: Callable[[int, bytes], None] = lambda _fd, _name: None
    socket: Callable[[], None] = lambda: None
    xattrs: bool = True
    doubt_from: int | None = None


@dataclass(slots=True)
class Visit:
    """A directory that is being looked at (``entered``) or left with everything below it.

    ``entries`` must be used up before the walk goes on: it finds the directories to descend into.
    ``fd`` is valid until then, too. ``hidden`` are names that were not looked at or could not be
    read, ``mounts`` directories on other file systems, which are not descended into.
    """

    path: bytes
    fd: int
    entered: bool
    entries: Iterator[Item]
    hidden: set[bytes] = field(default_factory=set)
    mounts: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class _Level:
    path: bytes
    fd: int
    below: list[bytes] = field(default_factory=list)


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


def walk(root: int, rules: Rules) -> Iterator[Visit]:
    """Visit ``root`` (a directory descriptor) and every directory below it, on entering and on leaving.

    A directory that cannot be opened is told to ``rules.problem`` and not visited.
    """
    walker = _Walker(root, rules)
    try:
        yield from walker.run()
    finally:
        walker.close()


class _Walker:
    def __init__(self, root: int, rules: Rules) -> None:
        self._rules = rules
        self._device = os.fstat(root).st_dev
        self._skip: dict[bytes, set[bytes]] = {}
        for path in rules.skip:
            directory, _, name = path.rpartition(b"/")
            self._skip.setdefault(directory, set()).add(name)
        if _is_mount_root(root):
            self._skip.setdefault(b"", set()).add(_LOST_AND_FOUND)
        self._stack = [_Level(b"", os.open(".", _OPEN, dir_fd=root))]

    def run(self) -> Iterator[Visit]:
        visit = self._enter(self._stack[0])
        if visit is not None:
            yield visit
        while self._stack:
            level = self._stack[-1]
            if not level.below:
                yield Visit(level.path, level.fd, entered=False, entries=iter(()))
                os.close(self._stack.pop().fd)
            elif (visit := self._descend(level, level.below.pop())) is not None:
                yield visit

    def close(self) -> None:
        for level in self._stack:
            os.close(level.fd)
        self._stack.clear()

    def _descend(self, level: _Level, name: bytes) -> Visit | None:
        path = join(level.path, name)
        try:
            fd = os.open(name, _OPEN, dir_fd=level.fd)
        except OSError as error:
            self._rules.problem(path, reason(error))
            return None
        below = _Level(path, fd)
        self._stack.append(below)
        visit = self._enter(below)
        if visit is None:
            os.close(self._stack.pop().fd)
        return visit

    def _enter(self, level: _Level) -> Visit | None:
        try:
            names = sorted(map(os.fsencode, os.listdir(level.fd)))  # noqa: PTH208
        except OSError as error:
            self._rules.problem(level.path, reason(error))
            return None
        visit = Visit(level.path, level.fd, entered=True, entries=iter(()))
        visit.entries = self._entries(level, names, visit)
        return visit

    def _entries(self, level: _Level, names: list[bytes], visit: Visit) -> Iterator[Item]:
        fd, below = level.fd, level.below
        doubt_from = self._rules.doubt_from
        visit.hidden |= self._skip.get(level.path, set())
        prefix = b"/proc/self/fd/%d/" % fd
        for name in names:
            if name in visit.hidden or (name.startswith(TEMPORARY_PREFIX) and self._leftover(fd, name)):
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                item = _item(name, status, prefix + name if self._rules.xattrs else None, name, fd)
            except OSError as error:
                self._unreadable(visit, name, error)
                continue
            kind = item.mode & 0o170000
            if doubt_from is not None and status.st_ctime_ns >= doubt_from and kind == stat.S_IFREG:
                item = msgspec.structs.replace(item, mtime_ns=UNSURE)
            if kind == stat.S_IFDIR:
                if status.st_dev == self._device:
                    below.append(name)
                else:
                    visit.mounts.add(name)
            elif kind == stat.S_IFSOCK:
                self._rules.socket()
                continue
            yield item
        below.reverse()

    def _leftover(self, fd: int, name: bytes) -> bool:
        self._rules.leftover(fd, name)
        return True

    def _unreadable(self, visit: Visit, name: bytes, error: OSError) -> None:
        # What vanished since the directory was listed is gone; anything else must not look so.
        if error.errno != errno.ENOENT:
            visit.hidden.add(name)
            self._rules.problem(join(visit.path, name), reason(error))


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
