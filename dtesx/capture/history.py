"""Where things were before they were renamed, and where they are since. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView
from dataclasses import dataclass, field
from typing import Protocol

from dtesx.capture.events import CREATE, DELETE, ON_DIRECTORY, RENAME, Entry, Event
from dtesx.model.paths import join

Move = tuple[bytes, bytes]
"""The old and the new path of a thing."""

_FROM_AND_TO = 2
_ATTEMPTS = 8  # to see the tree between two renames of directories in it


class Tree(Protocol):
    """The directories as they are now, by their places; what was read once is remembered as ``known``."""

    root: bytes

    @property
    def known(self) -> KeysView[bytes]:
        """The places of directories that were read."""

    def entry(self, directory: bytes) -> Entry | None:
        """In which directory a directory is, and by which name; None when it is gone or out of sight."""

    def holds(self, entry: Entry, file: bytes) -> bool:
        """Whether a name stands for the file at this place."""

    def settle(self) -> None:
        """Wait until the renames whose outcome may have been read are told of by events, too."""


@dataclass(slots=True)
class History:
    """What events tell about where things were before the first of them, all by their own places.

    ``origins``: where things were that existed and were renamed, or removed. ``made``: things that did
    not exist, or got another name before they were renamed. ``directories`` are to be told of, and so
    are ``files``, with the names that they were renamed to.

    The kernel joins an event with an equal earlier one that waits. So of the events about one thing the
    first is where it belongs, and nothing is known of the order of the others.
    """

    made: set[bytes] = field(default_factory=set)
    origins: dict[bytes, Entry] = field(default_factory=dict)
    directories: set[bytes] = field(default_factory=set)
    files: dict[bytes, list[Entry]] = field(default_factory=dict)

    def note(self, event: Event, *, told: bool) -> None:
        """Take in an event; with ``told`` its rename is one to tell of."""
        mask, _, entries, thing = event
        if not thing or not entries:  # a kernel that does not say what was renamed (before Linux 5.17)
            return
        if thing not in self.origins:
            if mask & CREATE:
                self.made.add(thing)
            if thing in self.made:
                return
        renamed = mask & RENAME and len(entries) == _FROM_AND_TO
        if renamed or (mask & DELETE and mask & ON_DIRECTORY):
            self.origins.setdefault(thing, entries[0])
        if told and renamed:
            if mask & ON_DIRECTORY:
                self.directories.add(thing)
            else:
                self.files.setdefault(thing, []).append(entries[1])


def moves(history: History, tree: Tree, collect: Callable[[], History | None]) -> list[Move]:
    """What was renamed: its path below the tree's root before ``history``, and that at its end.

    What cannot be told for certain is left out. ``collect`` gives all that happened since the end of
    ``history``; None where not all of it is known.
    """
    later = collect()
    for _ in range(_ATTEMPTS):
        if later is None:
            return []
        overtaken = _overtaken(history, tree, later)
        found = list(_moves(history, later, tree))
        tree.settle()
        later = collect()
        # What had been renamed since the end of history when it was read, may be known only now.
        if later is not None and _overtaken(history, tree, later) == overtaken:
            return found
    return []


def _overtaken(history: History, tree: Tree, later: History) -> int:
    """How much of what was read is known to have been renamed, or removed, later."""
    return sum(len(read & later.origins.keys()) for read in (tree.known, history.files.keys()))


def _moves(history: History, later: History, tree: Tree) -> Iterator[Move]:
    before, after = _Then(tree, history, later), _Then(tree, later)
    for place in history.directories:
        yield from _pair(before.path(place), after.path(place))
    for place, names in history.files.items():
        now = _name(place, names, later, tree)
        if now is not None:
            yield from _pair(before.named(history.origins[place]), after.named(now))


def _pair(old: bytes | None, new: bytes | None) -> Iterator[Move]:
    if old is not None and new is not None and old != new:
        yield old, new


def _name(file: bytes, names: list[Entry], later: History, tree: Tree) -> Entry | None:
    """Which of its names a file had before ``later``."""
    gone_from = later.origins.get(file)
    if gone_from is not None:
        return gone_from if gone_from in names else None
    return next((name for name in reversed(names) if tree.holds(name, file)), None)


class _Then:
    """The tree as it was before all that some histories tell, the earliest first."""

    def __init__(self, tree: Tree, *histories: History) -> None:
        self._tree = tree
        self._histories = histories

    def named(self, entry: Entry) -> bytes | None:
        """The path of a name in a directory; None where it was not below the root."""
        above = self.path(entry[0])
        return None if above is None else join(above, entry[1])

    def path(self, directory: bytes) -> bytes | None:
        """The path of a directory; None where it was not below the root."""
        names: list[bytes] = []
        passed = set()
        while directory != self._tree.root:
            entry = None if directory in passed else self._entry(directory)
            if entry is None:
                return None
            passed.add(directory)
            directory, name = entry
            names.append(name)
        return b"/".join(reversed(names))

    def _entry(self, directory: bytes) -> Entry | None:
        for history in self._histories:
            if directory in history.origins:
                return history.origins[directory]
            if directory in history.made:
                return None
        return self._tree.entry(directory)
