"""What is known of changes before anybody asks where they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.capture.events import CONTENT, NAMES, ON_DIRECTORY, RENAMES, Entry, Event

_Places = dict[bytes, set[bytes]]


@dataclass(slots=True)
class Batch:
    """Events joined: each name once, whatever happened to it and how often.

    ``names`` and ``written`` are as in ``Changes``, but by the places of directories; ``files`` are
    places of files whose names the kernel did not know, ``moved`` names to or from which directories
    were renamed. ``waiting`` counts names. A batch that is ``lost`` notes no more.
    """

    names: _Places = field(default_factory=dict)
    written: _Places = field(default_factory=dict)
    files: set[bytes] = field(default_factory=set)
    moved: set[Entry] = field(default_factory=set)
    waiting: int = 0
    lost: bool = False

    def note(self, event: Event) -> None:
        """Take in an event."""
        mask, _, entries, file = event
        if self.lost:
            return
        if mask & RENAMES and mask & ON_DIRECTORY:
            self.moved.update(entries)
        if mask & CONTENT:
            for place, name in entries:
                self._add(self.written, place, name)
            if file and not entries:
                self.files.add(file)
        if mask & NAMES:
            for place, name in entries:
                self._add(self.names, place, name)

    def repeat(self, place: bytes, earlier: Batch) -> None:
        """Take in what an earlier batch says about a directory."""
        for into, names in ((self.names, earlier.names), (self.written, earlier.written)):
            for name in names.get(place, ()):
                self._add(into, place, name)

    def lose(self) -> None:
        """Give up: there is more than is known here."""
        self.names, self.written, self.files, self.moved = {}, {}, set(), set()
        self.waiting, self.lost = 0, True

    def _add(self, places: _Places, place: bytes, name: bytes) -> None:
        names = places.setdefault(place, set())
        if name not in names:
            names.add(name)
            self.waiting += 1
