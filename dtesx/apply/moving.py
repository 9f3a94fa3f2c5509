"""Many names moved at once, whatever stands in whose way, so that no crash leaves one twice or nowhere.

All of them go to a directory of ours first, the deepest before what they are in, then from there to
where they belong, the highest first. Renaming that directory tells how far this has come: it is
``moving``, then ``placing``, and ``moved`` when all is done, so that what is carried out again goes on
where it was. File systems with a journal bring renames to disk in their order.
"""

from __future__ import annotations

import os
from contextlib import suppress

from dtesx.apply import flags
from dtesx.apply.leftovers import MOVES
from dtesx.apply.names import check_name, components
from dtesx.apply.removal import remove
from dtesx.apply.workplace import Workplace
from dtesx.wire.errors import ProtocolError
from dtesx.wire.operations import Moves

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Mover:
    """Carries out ``Moves``. Raises OSError, and ProtocolError for nonsense; may be repeated."""

    def __init__(self, work: Workplace) -> None:
        self._work = work
        self._moved = False

    def moves(self, operation: Moves) -> None:
        """Move names, as far as they are there and may be where they are to go."""
        self._moved = True
        pairs = [(_path(old), _path(new)) for old, new in operation.pairs]
        root = self._work.directories.get(b"").fd
        moving, placing, moved = (b"%s%s.%d" % (MOVES, word, operation.number) for word in _WORDS)
        if _exists(root, moved):
            return
        self._work.directories.forget(b"")
        if not _exists(root, placing):
            with suppress(FileExistsError):
                flags.insist(lambda: os.mkdir(moving, 0o700, dir_fd=root), root, b".")
            self._collect(root, moving, pairs)
            flags.rename(root, moving, root, placing)
        self._place(root, placing, pairs)
        flags.rename(root, placing, root, moved)
        self._work.directories.forget(b"")

    def _collect(self, root: int, moving: bytes, pairs: list[tuple[list[bytes], list[bytes]]]) -> None:
        fd = os.open(moving, _OPEN, dir_fd=root)
        try:
            for number in sorted(range(len(pairs)), key=lambda number: -len(pairs[number][0])):
                name, old = b"%d" % number, pairs[number][0]
                if _exists(fd, name):
                    continue
                with suppress(FileNotFoundError, NotADirectoryError):
                    above = self._work.directories.get(b"/".join(old[:-1])).fd
                    flags.rename(above, old[-1], fd, name)
                    self._work.directories.forget(b"/".join(old))
        finally:
            os.close(fd)

    def _place(self, root: int, placing: bytes, pairs: list[tuple[list[bytes], list[bytes]]]) -> None:
        fd = os.open(placing, _OPEN, dir_fd=root)
        try:
            for number in sorted(range(len(pairs)), key=lambda number: len(pairs[number][1])):
                name, new = b"%d" % number, pairs[number][1]
                if _exists(fd, name):
                    self._put(fd, name, new)
        finally:
            os.close(fd)

    def _put(self, fd: int, name: bytes, new: list[bytes]) -> None:
        """Give what was moved its new name; where it cannot have it, the next comparison makes it anew."""
        try:
            above = self._work.directories.get(b"/".join(new[:-1])).fd
            remove(above, new[-1])
            self._work.directories.forget(b"/".join(new))
            flags.rename(fd, name, above, new[-1])
        except (FileNotFoundError, NotADirectoryError):
            remove(fd, name)

    def settled(self) -> None:
        """All that was moved is on disk, and will not be moved again."""
        if self._moved:
            self._moved = False
            root: int = self._work.directories.get(b"").fd
            status = os.fstat(root)
            for name in map(os.fsencode, os.listdir(root)):
                if name.startswith(MOVES):
                    remove(root, name)
            os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))


_WORDS = (b"moving", b"placing", b"moved")


def _path(path: bytes) -> list[bytes]:
    parts = components(path)
    if not parts:
        raise ProtocolError("the root itself cannot be moved")
    return [check_name(part) for part in parts]


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
