"""What only the target has: removed, or moved to a directory beside the replica."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dtesx.apply import flags
from dtesx.apply.directories import Directories, OpenDirectory
from dtesx.apply.names import check_name, components
from dtesx.apply.removal import Spares, Swept, remove, sweep
from dtesx.apply.workplace import Workplace
from dtesx.base.errors import Refused
from dtesx.base.log import get_logger
from dtesx.model.paths import join
from dtesx.wire.errors import ProtocolError
from dtesx.wire.operations import Protect, Remove

log = get_logger(__name__)

_NAME_MAX = 255
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


Protection = Callable[[Protect], Spares]
"""Turns what the source says into what tells of a path below the root whether it is protected."""


class Orphans:
    """Carries out ``Remove``. ``beside`` opens the directory to move to, by the source's name for it."""

    def __init__(self, work: Workplace, beside: Callable[[bytes], int], protection: Protection) -> None:
        self._work = work
        self._protection = protection
        self._is_protected: Spares | None = None
        self._open_beside = beside
        self._moved_to = b""
        self._beside: Directories | None = None

    def protect(self, operation: Protect, _data: memoryview) -> None:
        """What ``Remove`` is to spare from now on."""
        self._is_protected = self._protection(operation)

    def remove(self, operation: Remove, _data: memoryview) -> None:
        """May be repeated: what went is gone. Counts and logs what went, also when something cannot go."""
        work, name, swept = self._work, check_name(operation.name), Swept()
        path = work.below(name)
        try:
            if operation.move_to:
                self._move(operation, name, swept)
            else:
                spares = self._spares(operation)
                remove(work.here.fd, name, before=operation.before, spares=spares, swept=swept)
        finally:
            if swept.directory:
                work.directories.forget(path)
            work.counts.removed += swept.names
            work.counts.removed_bytes += swept.bytes
            event = "orphan moved" if operation.move_to else "orphan removed"
            if swept.names or swept.spared:
                shown = path.decode(errors="backslashreplace")
                log.info(event, path=shown, names=swept.names, bytes=swept.bytes, spared=swept.spared)

    def close(self) -> None:
        """Close all directories."""
        if self._beside is not None:
            self._beside.close()

    def _move(self, operation: Remove, name: bytes, swept: Swept) -> None:
        work, here, before = self._work, self._work.here.fd, operation.before
        beside, spares = self._directories(operation.move_to), self._spares(operation)
        if before is None:
            counted = Swept()  # what is to be moved, and that nothing is mounted in it
            sweep(here, name, counted, lambda *_: True, lambda *_: None, spares)
            if not counted.spared:
                if counted.names:
                    _move_name(here, name, self._destination(beside, work.path))
                swept.names, swept.bytes, swept.directory = counted.names, counted.bytes, counted.directory
                return

        def leaf(parent: int, path: bytes, entry: bytes, status: os.stat_result) -> bool:
            if before is not None and status.st_mtime_ns >= before:
                return False
            _move_name(parent, entry, self._destination(beside, work.below(path)))
            return True

        sweep(here, name, swept, leaf, lambda parent, entry: os.rmdir(entry, dir_fd=parent), spares)

    def _spares(self, operation: Remove) -> Spares | None:
        if not operation.protected:
            return None
        is_protected, work = self._is_protected, self._work
        if is_protected is None:
            raise ProtocolError("an orphan is to be removed but for protected names, which nobody told")
        return lambda path, mode: is_protected(work.below(path), mode)

    def _directories(self, move_to: bytes) -> Directories:
        if self._beside is None:
            fd = self._open_beside(move_to)
            try:
                self._beside, self._moved_to = Directories(fd), move_to
            finally:
                os.close(fd)
        elif move_to != self._moved_to:
            raise ProtocolError("orphans are to be moved to two places at once")
        return self._beside

    def _destination(self, beside: Directories, path: bytes) -> OpenDirectory:
        """The directory that stands for ``path``, made where it is missing."""
        real = b""
        for name in components(path):
            for candidate in _numbered(name):
                below = join(real, candidate)
                try:
                    beside.get(below)
                except FileNotFoundError:
                    os.mkdir(candidate, 0o700, dir_fd=beside.get(real).fd)
                except NotADirectoryError:
                    continue
                real = below
                break
        return beside.get(real)


def open_beside(root: Path, move_to: bytes) -> int:
    """Open (and make) the directory for a root's orphans: ``move_to`` below ``ROOT.orphans`` beside it.

    The name holds a dot, which a replication set's name never does, so it is no other set's root.
    Raises Refused when it is on another file system or cannot be had, ProtocolError when
    ``move_to`` leads elsewhere.
    """
    names = components(move_to)
    try:
        fd = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in (os.fsencode(f"{root.name}.orphans"), *names):
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=fd)
                below = os.open(name, _OPEN, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
    except OSError as error:
        raise Refused(
            f"orphans cannot be moved to {root}.orphans: {error.strerror}",
            hint="look at that directory on the target, or have orphans kept or deleted",
        ) from error
    if os.fstat(fd).st_dev != root.stat().st_dev:
        os.close(fd)
        raise Refused(
            f"orphans cannot be moved to {root}.orphans: it is on another file system than {root}",
            hint="have orphans kept or deleted instead",
        )
    return fd


def _move_name(directory: int, name: bytes, to: OpenDirectory) -> None:
    """Move a name, under a number when there is one of that name already."""
    for candidate in _numbered(name):
        if not _exists(to.fd, candidate):
            break

    def move() -> None:
        os.rename(name, candidate, src_dir_fd=directory, dst_dir_fd=to.fd)

    flags.insist(move, directory, name)


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def _numbered(name: bytes) -> Iterator[bytes]:
    yield name
    number = 0
    while True:
        number += 1
        suffix = b".%d" % number
        yield name[: _NAME_MAX - len(suffix)] + suffix
