"""The names of files that have several: whoever looks at one of them has to look at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress

from dtesx.mirror.directories import Directories
from dtesx.model.changes import Changes, Names, Touch
from dtesx.model.paths import join, split


class LinkNames:
    """Knows, of the files of one tree that have several names, what these were when it was told."""

    def __init__(self) -> None:
        self._paths: dict[int, set[bytes]] = {}
        self._inodes: dict[bytes, int] = {}
        self._elsewhere: dict[int, int] = {}  # names that a search through the tree did not find
        self._missed: set[int] = set()  # files that may have other content, and were searched for in vain

    def note(self, inode: int, path: bytes) -> None:
        """A file of several names was seen at ``path``."""
        self._paths.setdefault(inode, set()).add(path)
        self._inodes[path] = inode

    def groups(self) -> dict[int, set[bytes]]:
        """The known names, by the inode of their file."""
        return dict(self._paths)

    def dismiss(self, changes: Changes) -> None:
        """Take out the inodes that were searched for before, and have no name in this tree."""
        changes.inodes = {
            inode for inode in changes.inodes if inode not in self._elsewhere or inode in self._paths
        }

    def complete(self, root: int, changes: Changes, pause: Callable[[], None]) -> None:
        """Add to changed names the other names of the files that are behind them, and of those that were.

        What happened to a file by a name that is gone since, or another's, is to be seen by its other names;
        so is what happened to files of which the inode alone is told.
        Where these are not known, the whole tree behind ``root`` (a descriptor) is searched for them;
        ``pause`` is called at every directory and may raise. What is renamed during a search may be missed;
        it is among the changed names after that.
        """
        names = changes.names
        self._add_former(changes)
        with closing(Directories(root)) as directories:
            for inode in changes.inodes:  # how many names they have is seen at any of them
                _share(changes, self._still(directories, inode), Touch.CONTENT)
            linked = _Linked(directories, pause)
            linked.look_at(names)
            for inode in linked.single:
                self._forget(inode)
            sought = changes.inodes | self._missed
            linked.found |= {inode: {linked.single[inode]} for inode in sought & linked.single.keys()}
            sought = changes.inodes | (sought & linked.found.keys())
            for inode in sought:
                linked.found.setdefault(inode, set())
                linked.counts.setdefault(inode, 1)
            self._find(directories, linked, pause)
        for inode, paths in linked.found.items():
            if paths:
                self._forget(inode, paths)
            touch = Touch.CONTENT if inode in sought else Touch.METADATA
            _share(changes, paths, touch)
        self._missed -= sought
        self._missed |= {inode for inode in sought if not linked.found[inode]}

    def widen(self, root: int, names: Names, pause: Callable[[], None]) -> None:
        """Add to names the other names of the files that are behind them, as ``complete`` does.

        What is known beside stays known: it may have to be looked at again.
        """
        with closing(Directories(root)) as directories:
            linked = _Linked(directories, pause)
            linked.look_at(names)
            self._find(directories, linked, pause)
        for inode, paths in linked.found.items():
            for path in paths:
                self.note(inode, path)
            _share(Changes(names), paths, Touch.METADATA)

    def _find(self, directories: Directories, linked: _Linked, pause: Callable[[], None]) -> None:
        """Find the other names of the files that were found."""
        found, counts = linked.found, linked.counts
        for inode, paths in found.items():
            paths |= self._still(directories, inode)
        unknown = {
            inode
            for inode, paths in found.items()
            if len(paths) + self._elsewhere.get(inode, 0) < counts[inode]
            # It was in this tree; or it is now, and was not, or was another file with the same number.
            or (not paths if inode in self._paths else paths and inode in self._elsewhere)
        }
        if unknown:
            _search(directories, unknown, found, pause)
        for inode in unknown:
            # Names that went meanwhile are not elsewhere.
            count = _count(directories, found[inode], counts[inode])
            self._elsewhere[inode] = max(0, count - len(found[inode]))

    def _still(self, directories: Directories, inode: int) -> set[bytes]:
        """The known names of a file that are still its own."""
        return {path for path in self._paths.get(inode, ()) if _inode(directories, path) == inode}

    def _add_former(self, changes: Changes) -> None:
        former: dict[int, Touch] = {}
        for directory, some in changes.names.items():
            for name, touch in some.items():
                if inode := self._inodes.get(join(directory, name), 0):
                    former[inode] = former.get(inode, Touch.METADATA) | touch & Touch.CONTENT
        for inode, touch in former.items():
            _share(changes, self._paths.get(inode, ()), touch)

    def _forget(self, inode: int, now: set[bytes] | None = None) -> None:
        """Forget the names of a file, or put others in their place."""
        for path in self._paths.pop(inode, ()):
            if self._inodes.get(path) == inode:
                del self._inodes[path]
        if now:
            self._paths[inode] = now
            self._inodes |= dict.fromkeys(now, inode)
        else:
            self._elsewhere.pop(inode, None)


def _search(
    directories: Directories, inodes: set[int], found: dict[int, set[bytes]], pause: Callable[[], None]
) -> None:
    """Add all paths of some files to what is ``found`` of them."""
    for path, entry in _entries(directories, b"", pause):
        if entry.inode() in inodes:
            found[entry.inode()].add(path)


def _share(changes: Changes, paths: Collection[bytes], touch: Touch) -> None:
    """What happened to one name of a file happened to all, and so did ``touch``; but not that it appeared.

    Where something was written that this tells of, nobody knows.
    """
    names = changes.names
    for directory, name in map(split, paths):
        touch |= names.get(directory, {}).get(name, touch) & ~(Touch.APPEARED | Touch.REPLACED)
    for path in paths:
        changes.touch(*split(path), touch)
        if Touch.CONTENT in touch:
            changes.spans.pop(path, None)


class _Linked:
    """How many names the files have that have several, and which of these are among the changed ones.

    ``single`` are the inodes of files that have one name alone, with that.
    """

    def __init__(self, directories: Directories, pause: Callable[[], None]) -> None:
        self._directories = directories
        self._pause = pause
        self.counts: dict[int, int] = {}
        self.found: dict[int, set[bytes]] = {}
        self.single: dict[int, bytes] = {}

    def look_at(self, names: Names) -> None:
        """Look at changed names, and at all that is in directories which appeared."""
        for directory, some in names.items():
            self._look(directory, some)

    def _look(self, directory: bytes, names: dict[bytes, Touch]) -> None:
        with suppress(OSError):  # it is gone, with all that is in it
            fd = self._directories.get(directory)
            for name, touch in names.items():
                with suppress(OSError):
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if not stat.S_ISDIR(status.st_mode):
                        self._note(join(directory, name), status)
                    elif Touch.APPEARED in touch:
                        self._look_below(join(directory, name))

    def _look_below(self, path: bytes) -> None:
        for at, entry in _entries(self._directories, path, self._pause):
            if not entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    self._note(at, entry.stat(follow_symlinks=False))

    def _note(self, path: bytes, status: os.stat_result) -> None:
        if status.st_nlink > 1:
            self.counts[status.st_ino] = status.st_nlink
            self.found.setdefault(status.st_ino, set()).add(path)
        else:
            self.single[status.st_ino] = path


def _count(directories: Directories, paths: Collection[bytes], before: int) -> int:
    """How many names a file has that is at any of the paths; as many as ``before`` when it is at none."""
    for directory, name in map(split, paths):
        with suppress(OSError):
            return os.stat(name, dir_fd=directories.get(directory), follow_symlinks=False).st_nlink
    return before


def _inode(directories: Directories, path: bytes) -> int:
    directory, _, name = path.rpartition(b"/")
    try:
        return os.stat(name, dir_fd=directories.get(directory), follow_symlinks=False).st_ino
    except OSError:
        return 0


def _entries(
    directories: Directories, start: bytes, pause: Callable[[], None]
) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    """Everything below a directory that is on its file system, with its path."""
    waiting = [start]
    device: int | None = None
    while waiting:
        pause()
        path = waiting.pop()
        with suppress(OSError):
            fd = directories.get(path)
            here = os.fstat(fd).st_dev
            if here != (device := here if device is None else device):
                continue
            with os.scandir(fd) as entries:
                for entry in entries:
                    at = join(path, os.fsencode(entry.name))
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(at)
                    yield at, entry
