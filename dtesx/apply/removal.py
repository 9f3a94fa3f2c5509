"""Removing a name with everything below it, by descriptors, never through a link or into a mount."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from dtesx.apply import flags
from dtesx.apply.opening import open_directory

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KEEP = 64

Leaf = Callable[[int, bytes, bytes, os.stat_result], bool]
"""Deals with a name that is no directory: (directory, its path, name, state); returns whether it went."""

Spares = Callable[[bytes, int], bool]
"""Tells of a path (from the swept name on) and its st_mode whether it stays with all that is below."""

Leave = Callable[[int, bytes], None]
"""Deals with a directory of which everything went: (directory above it, name)."""


@dataclass(slots=True)
class Swept:
    """How many names went, their bytes, how many files were spared, and whether it was a directory."""

    names: int = 0
    bytes: int = 0
    spared: int = 0
    directory: bool = False


def remove(
    directory: int,
    name: bytes,
    *,
    before: int | None = None,
    spares: Spares | None = None,
    swept: Swept | None = None,
) -> Swept:
    """Remove ``name`` from an open directory with all below it. Nothing there is fine.

    With ``before`` (mtime, nanoseconds) only files last modified earlier go, and directories that
    are empty then; what ``spares`` tells stays. ``swept`` counts, also when OSError is raised because
    something cannot go (EXDEV: a file system is mounted there).
    """
    counts = swept if swept is not None else Swept()

    def leaf(parent: int, _path: bytes, entry: bytes, status: os.stat_result) -> bool:
        if before is not None and status.st_mtime_ns >= before:
            return False
        _insist(os.unlink, parent, entry)
        return True

    sweep(directory, name, counts, leaf, lambda parent, entry: _insist(os.rmdir, parent, entry), spares)
    return counts


def sweep(
    directory: int, name: bytes, counts: Swept, leaf: Leaf, leave: Leave, spares: Spares | None = None
) -> None:
    """Go through ``name`` and all below it, children first, on one file system; raises OSError."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if spares is not None and spares(name, status.st_mode):
        counts.spared += 1
    elif stat.S_ISDIR(status.st_mode):
        counts.directory = True
        _Sweep(directory, counts, leaf, leave, spares).run(name)
    else:
        _count(counts, status, went=leaf(directory, b"", name, status))


def _count(counts: Swept, status: os.stat_result, *, went: bool) -> None:
    if not went:
        counts.spared += 1
        return
    counts.names += 1
    counts.bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0


@dataclass(slots=True)
class _Level:
    name: bytes
    path: bytes
    fd: int
    identity: tuple[int, int]
    names: list[bytes]
    kept: bool = False


class _Sweep:
    """A tree may be deeper than a process may have files open: levels far above are closed meanwhile."""

    def __init__(
        self, directory: int, counts: Swept, leaf: Leaf, leave: Leave, spares: Spares | None
    ) -> None:
        self._directory = directory
        self._counts = counts
        self._leaf = leaf
        self._leave = leave
        self._spares = spares
        self._levels: list[_Level] = []

    def run(self, name: bytes) -> None:
        try:
            self._enter(self._directory, name, name)
            while self._levels:
                level = self._levels[-1]
                if level.names:
                    self._entry(level, level.names.pop())
                else:
                    self._exit()
        finally:
            for level in self._levels:
                if level.fd >= 0:
                    os.close(level.fd)

    def _enter(self, parent: int, name: bytes, path: bytes) -> None:
        fd = open_directory(parent, name)
        try:
            status = os.fstat(fd)
            names = [os.fsencode(entry) for entry in os.listdir(fd)]  # noqa: PTH208
        except BaseException:
            os.close(fd)
            raise
        self._levels.append(_Level(name, path, fd, (status.st_dev, status.st_ino), names))
        if len(self._levels) > _KEEP:
            above = self._levels[-1 - _KEEP]
            os.close(above.fd)
            above.fd = -1

    def _entry(self, level: _Level, entry: bytes) -> None:
        try:
            status = os.stat(entry, dir_fd=level.fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if self._spares is not None and self._spares(level.path + b"/" + entry, status.st_mode):
            self._counts.spared += 1
            level.kept = True
            return
        if stat.S_ISDIR(status.st_mode):
            self._enter(level.fd, entry, level.path + b"/" + entry)
            return
        went = self._leaf(level.fd, level.path, entry, status)
        _count(self._counts, status, went=went)
        level.kept |= not went

    def _exit(self) -> None:
        level = self._levels[-1]
        above = self._levels[-2] if len(self._levels) > 1 else None
        if above is not None and above.fd < 0:
            above.fd = _open_above(level.fd, above.identity)
        self._levels.pop()
        os.close(level.fd)
        if above is not None:
            above.kept |= level.kept
        if not level.kept:
            self._leave(self._directory if above is None else above.fd, level.name)
            self._counts.names += 1


def _open_above(fd: int, identity: tuple[int, int]) -> int:
    above = os.open("..", _OPEN | os.O_DIRECTORY, dir_fd=fd)
    status = os.fstat(above)
    if (status.st_dev, status.st_ino) != identity:
        os.close(above)
        raise OSError(errno.ESTALE, "the directory was moved while it was being removed")
    return above


def _insist(action: Callable[..., None], directory: int, name: bytes) -> None:
    flags.insist(lambda: action(name, dir_fd=directory), directory, name)
