"""Capture: what changed below some roots, from the time on that they are watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dtesx.base.log import get_logger
from dtesx.capture.batch import Batch
from dtesx.capture.changes import CaptureStatistics, Changes, FileId, Names, join, split
from dtesx.capture.events import FSID, OVERFLOW, Entry
from dtesx.capture.fanotify import Group
from dtesx.capture.filesystems import FileSystem, file_system, top_of
from dtesx.capture.handles import inode_of
from dtesx.capture.paths import Paths

log = get_logger(__name__)

MOST_WAITING = 1_000_000
"""So many names may wait for a drain (some 150 MB); beyond, they are forgotten and the changes lost."""

_SELF = b"."


@dataclass
class _Root:
    """A watched root; ``given`` says where the places of the last drain were found."""

    directory: int
    system: FileSystem
    mask: int
    paths: Paths
    given: dict[bytes, bytes | None] = field(default_factory=dict)


class Capture:
    """Watches file systems and tells what changed below roots in them. For one thread.

    ``collect`` whenever ``fileno`` is readable, so that the kernel's queue stays short; ``drain``
    gives what happened before the call. To drain says that all that the drain before gave was looked
    at. Changes that the processes ``ignored`` make are left out.

    Raises NotWatchable where the kernel does not report changes to us.
    """

    def __init__(self, *, ignored: Iterable[int] = ()) -> None:
        self._group = Group()
        self._ignored = frozenset(ignored)
        self._roots: dict[str, _Root] = {}
        self._batch, self._last = Batch(), Batch()
        self._events = self._overflows = 0

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching everything."""
        self._group.close()

    def fileno(self) -> int:
        """The descriptor that is readable when there is something to collect."""
        return self._group.fileno()

    @property
    def statistics(self) -> CaptureStatistics:
        """Counts since the start."""
        return CaptureStatistics(self._events, self._overflows, self._batch.waiting)

    def watch(self, name: str, directory: int) -> None:
        """Watch what is below an open directory from now on; ``name`` is that of its changes.

        The descriptor stays the caller's and open until ``forget``. What other mounts hide below it
        is watched only through a mount of its own (``volumes.views``). Raises NotWatchable, OSError.
        """
        with top_of(directory) as top:
            mask = self._group.watch(top)
        self._roots[name] = _Root(directory, file_system(directory), mask, Paths(directory))

    def forget(self, name: str) -> None:
        """Watch a root no more. Raises NotWatchable, OSError."""
        root = self._roots.pop(name)
        if all(other.system != root.system for other in self._roots.values()):
            with top_of(root.directory) as top:
                self._group.forget(top, root.mask)

    def collect(self) -> None:
        """Take in what the kernel reported until now. Raises MalformedEvents, OSError."""
        for event in self._group.read():
            self._events += 1
            if event[0] & OVERFLOW:
                self._lose("the kernel's queue of events overflowed")
            elif event[1] not in self._ignored:
                self._batch.note(event)
                if self._batch.waiting > MOST_WAITING:
                    self._lose(f"more than {MOST_WAITING} names wait to be looked at")

    def drain(self) -> dict[str, Changes]:
        """What changed since the last drain, by root; roots below which nothing did are left out.

        Raises MalformedEvents, OSError.
        """
        self.collect()
        batch, self._batch = self._batch, Batch()
        if batch.moved or batch.lost:
            for root in self._roots.values():
                root.paths.forget()
        if batch.moved:
            for place in self._displaced(batch):
                batch.repeat(place, self._last)
        self._last = batch
        found = {name: _changes(root, batch) for name, root in self._roots.items()}
        return {name: changes for name, changes in found.items() if changes}

    def _displaced(self, batch: Batch) -> set[bytes]:
        """The places of the last drain that may have been elsewhere when they were looked at."""
        found = set()
        for root in self._roots.values():
            renamed = {join(*entry) for entry in _located(root, batch.moved)}
            for place, before in root.given.items():
                now = root.paths.find(place)
                if now is not None and (now != before or _at_or_below(now, renamed)):
                    found.add(place)
        return found

    def _lose(self, why: str) -> None:
        log.warning("changes were lost: all of it is to be compared with the catalogue", reason=why)
        self._overflows += 1
        self._batch.lose()


def _changes(root: _Root, batch: Batch) -> Changes:
    """What a batch says about a root; remembers where the batch's places were."""
    changes = Changes(lost=batch.lost)
    root.given = {}
    for places, names in ((batch.names, changes.names), (batch.written, changes.written)):
        for place, found in places.items():
            if place.startswith(root.system.number):
                root.given[place] = path = root.paths.find(place)
                if path is not None:
                    _add(names, path, found)
    for place in batch.files:
        identity = inode_of(place[FSID:]) if place.startswith(root.system.number) else None
        if identity is not None:
            changes.files.add(FileId(root.system.device, *identity))
    if root.paths.unsure:
        log.warning("where changes happened cannot be told: all is to be compared with the catalogue")
        changes.lost, root.paths.unsure = True, False
    return changes


def _add(names: Names, path: bytes, found: set[bytes]) -> None:
    """Add what is named in the directory at ``path``; what it says of itself is said of its name."""
    names.setdefault(path, set()).update(found - {_SELF})
    if _SELF in found:
        directory, name = split(path)
        names.setdefault(directory, set()).add(name)
    if not names[path]:
        del names[path]


def _located(root: _Root, entries: Iterable[Entry]) -> Iterator[Entry]:
    for place, name in entries:
        if place.startswith(root.system.number) and (path := root.paths.find(place)) is not None:
            yield path, name


def _at_or_below(path: bytes, above: set[bytes]) -> bool:
    while path and path not in above:
        path = split(path)[0]
    return path in above
