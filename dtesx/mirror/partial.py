"""Visiting what changed of a tree: single names of directories, and whole trees that appeared."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator
from contextlib import closing

from dtesx.mirror.directories import Directories
from dtesx.mirror.protection import scope_of
from dtesx.mirror.scan import Scanner, Visit, WalkOptions, reason
from dtesx.mirror.selection import Scope, Verdict
from dtesx.mirror.walking import walk_below
from dtesx.model.changes import Names, Touch
from dtesx.model.paths import join, upwards
from dtesx.wire.items import reserved


def walk_changed(root: int, options: WalkOptions, changed: Names) -> Generator[Visit, None, None]:
    """Visit the directories of ``changed`` below ``root`` (a descriptor), with the changed names alone.

    Directories among these names are entered where they appeared, and then whole. What is gone by
    now is passed over: the directory above it has it among its changed names, or will have.
    """
    scanner, covered = Scanner(root, options), set[bytes]()
    with closing(Directories(root)) as directories:
        for path in sorted(changed, key=_order):
            if reserved(path) or not covered.isdisjoint(upwards(path)):
                continue
            try:
                fd = os.dup(directories.get(path))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    options.problem(path, reason(error))
                continue
            try:
                yield from _visits(scanner, options, path, fd, changed[path], covered)
            finally:
                os.close(fd)


def _visits(
    scanner: Scanner,
    options: WalkOptions,
    path: bytes,
    fd: int,
    touched: dict[bytes, Touch],
    covered: set[bytes],
) -> Iterator[Visit]:
    scope = scope_of(path, options.scope)
    if path and not _reached(path, options.scope):
        return
    visit = scanner.look(path, fd, scope, above=scanner.device if path else None, only=touched)
    yield visit
    for name in visit.below:
        if touched[name] & Touch.APPEARED:
            below = join(path, name)
            covered.add(below)
            # Not by the visit's own descriptor: who got the visit may have put another one there.
            yield from walk_below(scanner, options, visit, fd, name)
    yield Visit(path, fd, False, iter(()), visit.status)


def _reached(path: bytes, scope: Scope | None) -> bool:
    """Whether rules let a walk into the directory at all."""
    for name in path.split(b"/"):
        if scope is None:
            return True
        choice = scope.choose(name)
        if choice.directory is not Verdict.TAKEN:
            return False
        scope = choice.below
    return True


def is_whole(path: bytes, scope: Scope | None) -> bool:
    """Whether the rules take a name with all that is or may be below it."""
    for name in path.split(b"/"):
        if scope is None:
            return True
        choice = scope.choose(name)
        if Verdict.TAKEN is not choice.directory or Verdict.TAKEN is not choice.file:
            return False
        scope = choice.below
    return scope is None


def _order(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []
