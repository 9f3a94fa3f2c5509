"""Walking a tree by descriptors: parents first, names sorted, one file system, no link followed."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dtesx.mirror.scan import Scanner, Visit, WalkOptions, reason
from dtesx.mirror.selection import Scope
from dtesx.model.paths import join

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HELD = 64


@dataclass(slots=True)
class _Level:
    """A directory between the root and where the walk is; ``fd`` is -1 while it is closed."""

    name: bytes
    fd: int
    flags: int
    visit: Visit
    below: Iterator[bytes]


def walk(root: int, options: WalkOptions) -> Iterator[Visit]:
    """Visit ``root`` (a directory descriptor) and every directory below it, on entering and on leaving.

    A directory that cannot be opened is told to ``options.problem`` and not visited. Other file
    systems are entered only where an include rule spells them out. However deep the tree is, the
    walk holds no more than 64 descriptors.
    """
    yield from _walk(_Walker(options, Scanner(root, options), b"", options.scope), root, b".", None)


def walk_on(
    root: int, options: WalkOptions, after: bytes | None, enough: Callable[[], bool]
) -> Iterator[Visit]:
    """Walk as ``walk`` does, from behind the directory ``after`` (None: from the root) until ``enough``.

    At least one directory is visited, if there is one. What was entered is left, too; ``names`` are then
    the directories in it that are still to be entered.
    """
    walker = _Walker(options, Scanner(root, options), b"", options.scope)
    try:
        if after is None:
            yield from walker.run(root, b".", None, enough)
        else:
            quiet = WalkOptions(problem=_nothing, scope=options.scope, xattrs=False)
            walker.resume(root, after, Scanner(root, quiet))
            yield from walker.go_on(enough)
    finally:
        walker.close()


def _nothing(_path: bytes, _reason: str) -> None:
    """What was visited already was told of then."""


def walk_below(
    scanner: Scanner, options: WalkOptions, above: Visit, directory: int, name: bytes
) -> Iterator[Visit]:
    """Visit the directory ``name`` of the one ``above``, open as ``directory``, and all below it."""
    walker = _Walker(options, scanner, above.path, above.scopes.get(name))
    yield from _walk(walker, directory, name, above.status.st_dev)


def _walk(walker: _Walker, directory: int, name: bytes, device: int | None) -> Iterator[Visit]:
    try:
        yield from walker.run(directory, name, device)
    finally:
        walker.close()


class _Walker:
    """Walks from a directory whose own scope is ``scope``; ``above`` is the path of what it is in."""

    def __init__(self, options: WalkOptions, scanner: Scanner, above: bytes, scope: Scope | None) -> None:
        self._options = options
        self._scanner = scanner
        self._scope = scope
        self._device: int | None = None
        self._stack: list[_Level] = []
        self._closed = 0
        self._path = above

    def resume(self, root: int, after: bytes, scanner: Scanner) -> None:
        """Go to where a walk was when it had visited ``after``. Raises OSError for the root."""
        scanner, self._scanner = self._scanner, scanner
        visit = self._descend(b"", os.open(b".", _OPEN, dir_fd=root), _OPEN)
        for name in after.split(b"/") if after else ():
            if visit is None:
                break
            deque(visit.entries, maxlen=0)
            level = self._stack[-1]
            level.below = iter([each for each in visit.below if each > name])
            visit = self._below(level, name) if name in visit.below else None
        if visit is not None:
            deque(visit.entries, maxlen=0)
        self._scanner = scanner

    def run(
        self, directory: int, name: bytes, device: int | None, enough: Callable[[], bool] = lambda: False
    ) -> Iterator[Visit]:
        self._device = device
        at = b"" if name == b"." else name
        try:
            fd = os.open(name, _OPEN, dir_fd=directory)
        except OSError as error:
            self._not_entered(join(self._path, at), error)
            return
        visit = self._descend(at, fd, _OPEN)
        if visit is not None:
            yield visit
        yield from self.go_on(enough)

    def go_on(self, enough: Callable[[], bool] = lambda: False) -> Iterator[Visit]:
        """Visit what is left of the walk, and leave it; when it is ``enough``, leave alone."""
        leaving = False
        while self._stack:
            level = self._stack[-1]
            leaving = leaving or enough()
            below = None if leaving else next(level.below, None)
            if below is not None:
                if (visit := self._below(level, below)) is not None:
                    yield visit
            else:
                left = list(level.below)
                yield Visit(self._path, level.fd, False, iter(()), level.visit.status, names=left)
                self._leave()

    def close(self) -> None:
        for level in self._stack:
            if level.fd >= 0:
                os.close(level.fd)
        self._stack.clear()

    def _below(self, level: _Level, name: bytes) -> Visit | None:
        flags = _OPEN & ~os.O_NOFOLLOW if name in level.visit.followed else _OPEN
        try:
            fd = os.open(name, flags, dir_fd=level.fd)
        except OSError as error:
            self._not_entered(join(self._path, name), error)
            return None
        return self._descend(name, fd, flags)

    def _descend(self, name: bytes, fd: int, flags: int) -> Visit | None:
        above = self._stack[-1].visit if self._stack else None
        path = join(self._path, name) if name else self._path
        try:
            if above is None:
                visit = self._scanner.look(path, fd, self._scope, above=self._device)
            else:
                scope = above.scopes.get(name)
                visit = self._scanner.look(path, fd, scope, above=above.status.st_dev)
        except OSError as error:
            os.close(fd)
            self._not_entered(path, error)
            return None
        # The iterator sees what is added below while the visit's entries are used up.
        self._stack.append(_Level(name, fd, flags, visit, iter(visit.below)))
        self._path = path
        if len(self._stack) - self._closed > _HELD:
            self._closed += 1  # so never the root: what was moved is looked for from there
            closing = self._stack[self._closed]
            os.close(closing.fd)
            closing.fd = -1
        return visit

    def _not_entered(self, path: bytes, error: OSError) -> None:
        if error.errno == errno.ENOENT and path:
            self._options.vanished(path)
        else:
            self._options.problem(path, reason(error))

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
            level.below = iter(())

    def _from_root(self) -> int:
        fd = os.dup(self._stack[0].fd)
        for level in self._stack[1:]:
            below = _open_same(level, level.name, fd, level.flags)
            os.close(fd)
            if below < 0:
                return -1
            fd = below
        return fd


def _open_same(level: _Level, name: bytes, directory: int, flags: int) -> int:
    """Open ``name``, which the level had when it was entered; -1 when it is another directory now."""
    try:
        fd = os.open(name, flags, dir_fd=directory)
    except OSError:
        return -1
    if os.path.samestat(os.fstat(fd), level.visit.status):
        return fd
    os.close(fd)
    return -1
