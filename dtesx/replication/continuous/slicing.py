"""A mirror of all of a root in slices, between which what changes meanwhile is sent.

First the directories, one after the other in walking order. What happens in those that were visited is
sent after the slice; what happens in others will be seen when they are visited. Files with
several names come last, all names of a file together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dtesx.mirror.catalogue import Catalogue
from dtesx.mirror.diff import Links, walking_order
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.pieces import Piece
from dtesx.mirror.replaced import Below, replaced
from dtesx.mirror.scan import Visit, WalkOptions
from dtesx.mirror.walking import walk_on
from dtesx.model.changes import Changes, Names, Touch

_AT_ONCE = 4096  # names of files that have several


@dataclass(frozen=True)
class Position:
    """How far a mirror has come.

    ``after`` is the directory that it visited last (None: none yet). When it has visited all of them
    (``walked``), it has dealt with so many of the files with several names (``linked``).
    """

    after: bytes | None = None
    walked: bool = False
    linked: int = 0

    def covers(self, directory: bytes) -> bool:
        """Whether a directory was visited."""
        if self.walked:
            return True
        return self.after is not None and walking_order(directory) <= walking_order(self.after)


class SlicedMirror:
    """A mirror of one root under way.

    ``names`` learns of the files with several names; ``catalogue`` is closed when the mirror is, and
    kept when all directories were visited. With ``blurred``, more changed than hints could tell. What was
    ``replaced`` until now may look the same and be another.
    """

    def __init__(
        self,
        names: LinkNames,
        catalogue: Catalogue | None,
        *,
        blurred: bool,
        position: Position = Position(),
    ) -> None:
        self.position = position
        self.blurred = blurred
        self._names = names
        self._catalogue = catalogue
        self._links = Links()
        self.replaced = Below()
        self._written: set[int] = set()
        self._groups = self._linked_names() if position.walked else []
        self._next = self.position
        self._enough: Callable[[], bool] = lambda: False

    @property
    def catalogue(self) -> Catalogue | None:
        """What the slices of directories are to note in."""
        return None if self.position.walked else self._catalogue

    @property
    def done(self) -> bool:
        """Whether all of it was sent."""
        return self.position.walked and self.position.linked >= len(self._groups)

    def between(self) -> Piece:
        """How what changed meanwhile is mirrored."""
        walked = self.position.walked
        return Piece(self._links.renewed() if walked else self._links, defers=not walked)

    def begin(self, hints: Changes, enough: Callable[[], bool]) -> tuple[Changes, Piece]:
        """The next slice, which is ``enough`` when that says so; ``advance`` has to follow when it was sent.

        ``hints`` are what may differ though it looks the same.
        """
        self.replaced.add(replaced(hints.names))
        if self.position.walked:
            return self._linked_files()
        self._enough, self._next = enough, self.position
        return replace(hints, everything=True), Piece(self._links, self._walk, defers=True)

    def advance(self) -> None:
        """The slice was sent."""
        if self._next.walked and not self.position.walked:
            self._groups = self._linked_names()
            if self._catalogue is not None:
                self._catalogue.keep()
        self.position = self._next

    def rewind(self, position: Position) -> None:
        """What was sent from ``position`` on is lost."""
        self.close()  # one that had to be in walking order
        self.position = min(self.position, position, key=_progress)

    def note(self, changes: Changes, inode: int, path: bytes) -> None:
        """A name of a file that has several was seen, while ``changes`` were looked at."""
        self._names.note(inode, path)
        directory, _, name = path.rpartition(b"/")
        touch = changes.names.get(directory, {}).get(name, Touch(0))
        if Touch.CONTENT in touch or path in self.replaced:
            self._written.add(inode)

    def linked(self, first: int = 0, end: int | None = None) -> Names:
        """The names of the files with several, from the ``first`` on to before the ``end`` of these files."""
        names: Names = {}
        for inode, group in self._groups[first:end]:
            written = Touch.CONTENT if inode in self._written else Touch(0)
            for path in group:
                directory, _, name = path.rpartition(b"/")
                names.setdefault(directory, {})[name] = Touch.METADATA | written
        return names

    def _linked_names(self) -> list[tuple[int, set[bytes]]]:
        return list(self._names.groups().items())

    def close(self) -> None:
        """The catalogue is needed no more."""
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None

    def _walk(self, root: int, options: WalkOptions) -> Iterator[Visit]:
        ended = True
        visited = False

        def enough() -> bool:
            nonlocal ended
            ended = not (visited and self._enough())
            return not ended

        for visit in walk_on(root, options, self.position.after, enough):
            if visit.entered:
                visited, self._next = True, replace(self._next, after=visit.path)
            yield visit
        self._next = replace(self._next, walked=ended)

    def _linked_files(self) -> tuple[Changes, Piece]:
        first = number = self.position.linked
        count = 0
        while number < len(self._groups) and (number == first or count < _AT_ONCE):
            count += len(self._groups[number][1])
            number += 1
        self._next = replace(self.position, linked=number)
        return Changes(self.linked(first, number)), Piece(self._links.renewed())


def split(changes: Changes, position: Position) -> tuple[Changes, Changes]:
    """What of ``changes`` is where all was visited up to ``position``, and what is not known to be."""
    now = Changes(blurred=changes.blurred)
    later = Changes(everything=changes.everything, blurred=changes.blurred)
    # The names of these are known when all directories were visited.
    (now if position.walked else later).inodes = changes.inodes
    covered = {directory for directory in changes.names if position.covers(directory)}
    for directory, names in changes.names.items():
        (now if directory in covered else later).names[directory] = names
    for path, spans in changes.spans.items():
        (now if path.rpartition(b"/")[0] in covered else later).spans[path] = spans
    now.moved = [
        (old, new)
        for old, new in changes.moved
        if position.covers(old.rpartition(b"/")[0]) and position.covers(new.rpartition(b"/")[0])
    ]
    return now, later


def _progress(position: Position) -> tuple[bool, int, bool, list[bytes]]:
    after = position.after
    return position.walked, position.linked, after is not None, walking_order(after or b"")
