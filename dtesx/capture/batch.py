"""What is known of changes before anybody asks where they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.capture.events import (
    ATTRIB,
    CONTENT,
    CREATE,
    MOVED_TO,
    NAMES,
    ON_DIRECTORY,
    RENAME,
    RENAMES,
    Entry,
    Event,
)
from dtesx.capture.history import History

_Places = dict[bytes, set[bytes]]


@dataclass(slots=True)
class Batch:
    """Events joined: each name once, whatever happened to it and how often.

    ``appeared``, ``names`` and ``written`` are as in ``Changes``, but by the places of directories;
    ``named`` are the same by the places of files: one name of each; ``touched`` are files that got other
    attributes, with one of the names by which they did. ``files`` are places of files whose names the
    kernel did not know, ``moved`` names to or from which directories were renamed. ``waiting`` counts
    names. A batch that is ``lost`` notes no more.
    """

    appeared: _Places = field(default_factory=dict)
    names: _Places = field(default_factory=dict)
    written: _Places = field(default_factory=dict)
    named: dict[bytes, Entry] = field(default_factory=dict)
    touched: dict[bytes, Entry] = field(default_factory=dict)
    files: set[bytes] = field(default_factory=set)
    moved: set[Entry] = field(default_factory=set)
    history: History = field(default_factory=History)
    waiting: int = 0
    lost: bool = False

    def note(self, event: Event, *, told: bool = True) -> None:
        """Take in an event; only where directories are now, unless it is to be ``told``."""
        mask, _, entries, file = event
        if self.lost:
            return
        if mask & RENAMES and mask & ON_DIRECTORY:
            self.moved.update(entries)
        self.history.note(event, told=told)
        if not told:
            return
        if file:
            self._note_file(mask, entries, file)
        for number, (place, name) in enumerate(entries):
            # A rename tells where from, then where to.
            if mask & (CREATE | MOVED_TO) or (mask & RENAME and number):
                self._add(self.appeared, place, name)
            elif mask & NAMES:
                self._add(self.names, place, name)
            if mask & CONTENT:
                self._add(self.written, place, name)

    def _note_file(self, mask: int, entries: list[Entry], file: bytes) -> None:
        if mask & CONTENT and entries:
            self.named[file] = entries[0]
        elif mask & CONTENT:
            self.files.add(file)
        # Without a name it is how many names there are that changed.
        if mask & ATTRIB and entries and not mask & ON_DIRECTORY:
            self.touched[file] = entries[0]

    def repeat(self, place: bytes, earlier: Batch) -> None:
        """Take in what an earlier batch says about a directory."""
        for into, names in (
            (self.appeared, earlier.appeared),
            (self.names, earlier.names),
            (self.written, earlier.written),
        ):
            for name in names.get(place, ()):
                self._add(into, place, name)

    def lose(self) -> None:
        """Give up: there is more than is known here."""
        self.appeared, self.names, self.written, self.named, self.touched = {}, {}, {}, {}, {}
        self.files, self.moved, self.history = set(), set(), History()
        self.waiting, self.lost = 0, True

    def _add(self, places: _Places, place: bytes, name: bytes) -> None:
        names = places.setdefault(place, set())
        if name not in names:
            names.add(name)
            self.waiting += 1
