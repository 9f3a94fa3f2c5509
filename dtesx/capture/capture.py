"""Capture: what changed below some roots, from the time on that they are watched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from dtesx.base.log import get_logger
from dtesx.capture.batch import Batch
from dtesx.capture.changes import CaptureStatistics, Changes, FileId, Names
from dtesx.capture.dirtied import Dirtied, DirtyRanges
from dtesx.capture.errors import NotWatchable
from dtesx.capture.events import CLOSE_WRITE, CONTENT, FSID, MODIFY, OVERFLOW
from dtesx.capture.fanotify import Group
from dtesx.capture.filesystems import FileSystem, file_system, top_of
from dtesx.capture.handles import handle_and_mount, handle_for, handle_of, inode_of, open_handle
from dtesx.capture.history import History, Move, moves
from dtesx.capture.paths import Paths
from dtesx.capture.root import WatchedRoot
from dtesx.capture.settling import write_back_all
from dtesx.capture.sweep import in_writing
from dtesx.capture.tree import MountedTree
from dtesx.model.capture import Rung
from dtesx.model.paths import join, split, upwards

log = get_logger(__name__)

MOST_WAITING = 1_000_000
"""So many names may wait for a drain (some 150 MB); beyond, they are forgotten and the changes lost."""

_SELF = b"."


class Capture:
    """Watches file systems and tells what changed below roots in them. For one thread.

    ``collect`` whenever ``fileno`` is readable, so that the kernel's queue stays short; ``drain``
    gives what happened before the call. To drain says that all that the drain before gave was looked
    at. Changes that the processes ``ignored`` make are left out. Without ``ranges``, which bytes change
    is not asked for.

    Raises NotWatchable where the kernel does not report changes to us.
    """

    def __init__(self, *, ranges: bool = True, ignored: Iterable[int] = ()) -> None:
        self._ignored = frozenset(ignored)
        self._group = Group()
        self._ranges: DirtyRanges | None = None
        self.why_no_ranges: NotWatchable | None = None
        if ranges:
            self._load_ranges()
        self._roots: dict[str, WatchedRoot] = {}
        self._batch, self._last = Batch(), Batch()
        self._writing: set[bytes] = set()
        self._events = self._overflows = 0

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching everything."""
        self._group.close()
        if self._ranges is not None:
            self._ranges.close()

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
        system = file_system(directory)
        ranges = self._ranges if system.type else None
        with top_of(directory) as top:
            mask = self._group.watch(top, _contents(ranges, system.type))
        if ranges is not None:
            ranges.watch(system.device, system.type)
            # A store into a page that was dirty before is not told: from here on all pages are clean.
            write_back_all(directory)
        rung = Rung.EVENTS if ranges is None else Rung.RANGES
        _, mount = handle_and_mount(directory)
        self._roots[name] = WatchedRoot(directory, system, mask, rung, mount, Paths(directory))

    def rung(self, name: str) -> Rung:
        """By which means changes below a root are found."""
        return self._roots[name].rung

    def forget(self, name: str) -> None:
        """Watch a root no more. Raises NotWatchable, OSError."""
        root = self._roots.pop(name)
        if any(other.system == root.system for other in self._roots.values()):
            return
        with top_of(root.directory) as top:
            self._group.forget(top, root.mask)
        if self._ranges is not None and root.rung is Rung.RANGES:
            self._ranges.forget(root.system.device)

    def identify(self, name: str, directory: int, entry: bytes) -> FileId | None:
        """The identity of a name in an open directory below a root; None where there are no such things.

        Raises OSError.
        """
        return _identity(self._roots[name].system, handle_of(directory, entry))

    def locate(self, name: str, file: FileId) -> bytes | None:
        """One path of a file relative to a root, if the last drain or the kernel has it at hand.

        The last drain has it of files that were written to, the kernel of those in use. Raises OSError:
        ESTALE when the file was removed.
        """
        root = self._roots[name]
        handle = handle_for(root.system.type, file.root, file.inode, file.generation)
        entry = self._last.named.get(root.system.number + handle)
        told = root.still(entry, handle) if entry is not None else None
        return told if told is not None else root.path(handle)

    def is_nameless(self, name: str, file: FileId) -> bool:
        """Whether a file that ``locate`` does not find may yet be below a root. Raises OSError."""
        root = self._roots[name]
        handle = handle_for(root.system.type, file.root, file.inode, file.generation)
        return root.is_nameless(handle, self._last)

    @contextmanager
    def opened(self, name: str, file: FileId) -> Iterator[int]:
        """A descriptor of a file below a root, to read it, wherever it is.

        Raises OSError: ESTALE when the file was removed.
        """
        root = self._roots[name]
        place = open_handle(
            root.directory, handle_for(root.system.type, file.root, file.inode, file.generation)
        )
        try:
            fd = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(place)
        try:
            yield fd
        finally:
            os.close(fd)

    def clean(self) -> None:
        """Write back all that is dirty in the watched file systems. Raises OSError.

        Now and then, for what is known of dirty pages is bounded; beyond, more is told than was written.
        """
        with ExitStack() as stack:
            if self._ranges is not None:
                stack.enter_context(self._ranges.cleaning())
            for directory in {root.system: root.directory for root in self._roots.values()}.values():
                write_back_all(directory)

    def collect(self) -> None:
        """Take in what the kernel reported until now. Raises MalformedEvents, OSError."""
        for event in self._group.read():
            self._events += 1
            if event[0] & OVERFLOW:
                self._lose("the kernel's queue of events overflowed")
            else:
                self._batch.note(event, told=event[1] not in self._ignored)
                if self._batch.waiting > MOST_WAITING:
                    self._lose(f"more than {MOST_WAITING} names wait to be looked at")

    def drain(self) -> dict[str, Changes]:
        """What changed since the last drain, by root; roots below which nothing did are left out.

        Raises MalformedEvents, OSError.
        """
        # In this order: of a file whose bytes changed, its creation is never told later, nor its end.
        dirtied = self._ranges.drain() if self._ranges is not None else Dirtied({}, {})
        writing = self._in_writing()
        self.collect()
        if dirtied.lost:
            self._lose(dirtied.lost)
        batch, self._batch = self._batch, Batch()
        moved = {name: self._moved(root, batch.history) for name, root in self._roots.items()}
        if batch.moved or batch.lost:
            for root in self._roots.values():
                root.paths.forget()
        for place in self._displaced(batch):
            batch.repeat(place, self._last)
        last, self._last = self._last, batch
        found = {name: self._changes(root, batch, dirtied, moved[name]) for name, root in self._roots.items()}
        for name, root in self._roots.items():
            touched = root.astray(batch.touched) | root.astray(last.touched)
            known, changes = self._blocks_known(root), found[name]
            handles, root.told = root.gone(), {}
            if not known:
                handles |= writing | root.astray(batch.named) | root.astray(last.named)
            _add_handles(root, handles, batch, changes, changes.names if known else changes.written)
            _add_handles(root, touched - handles, batch, changes, changes.names)
        return {name: changes for name, changes in found.items() if changes}

    def _load_ranges(self) -> None:
        try:
            self._ranges = DirtyRanges(self._ignored)
        except NotWatchable as error:
            log.info("byte ranges cannot be told", reason=error.message)
            self.why_no_ranges = error

    def _in_writing(self) -> set[bytes]:
        """The files that somebody may have written to without an event, since the last drain."""
        unseen = {root.system.device for root in self._roots.values() if root.rung is Rung.EVENTS}
        before, self._writing = self._writing, in_writing(unseen, self._ignored) if unseen else set()
        return before | self._writing

    def _moved(self, root: WatchedRoot, history: History) -> list[Move]:
        """What was renamed below a root. Collects what happens meanwhile, for the next drain."""
        if not history.directories and not history.files:
            return []
        return moves(history, MountedTree(root.directory, root.system.number), self._later)

    def _later(self) -> History | None:
        self.collect()
        return None if self._batch.lost else self._batch.history

    def _displaced(self, batch: Batch) -> set[bytes]:
        """The places of the last drain that may have been elsewhere when they were looked at.

        One that was not found then may be there: what the kernel has forgotten of a directory's path, it
        looks for in the directory above, and misses it when that changes meanwhile (exportfs_get_name).
        """
        found = set()
        for root in self._roots.values():
            renamed = {join(*entry) for entry in root.located(batch.moved)}
            for place, before in root.given.items():
                now = root.paths.find(place)
                if now is not None and (now != before or not renamed.isdisjoint((*upwards(now), b""))):
                    found.add(place)
        return found

    def _changes(self, root: WatchedRoot, batch: Batch, dirtied: Dirtied, moved: list[Move]) -> Changes:
        """What was drained as it is seen from a root; remembers where the batch's places were."""
        arrived = bool(batch.moved) or self._ranges is None or root.system.type not in self._ranges.exact
        changes = Changes(moved=moved, arrived=arrived, lost=batch.lost)
        root.given = {}
        _names(root, batch.appeared, changes.appeared)
        _names(root, batch.names, changes.names)
        _names(root, batch.written, changes.names if self._blocks_known(root) else changes.written)
        for place in batch.files:
            if place.startswith(root.system.number):
                identity = _identity(root.system, place[FSID:])
                changes.files.update(() if identity is None else (identity,))
        device = root.system.device
        changes.ranges = {file: spans for file, spans in dirtied.ranges.items() if file.device == device}
        changes.silent = {file: spans for file, spans in dirtied.silent.items() if file.device == device}
        if root.paths.unsure:
            log.warning("where changes happened cannot be told: all is to be compared with the catalogue")
            changes.lost, root.paths.unsure = True, False
        return changes

    def _blocks_known(self, root: WatchedRoot) -> bool:
        return self._ranges is not None and root.system.type in self._ranges.structured

    def _lose(self, why: str) -> None:
        log.warning("changes were lost: all of it is to be compared with the catalogue", reason=why)
        self._overflows += 1
        self._batch.lose()


def _contents(ranges: DirtyRanges | None, kind: str) -> int:
    """The events that tell of contents. Each costs a write call about as much as the programs do."""
    if ranges is None:
        return CONTENT
    return CLOSE_WRITE if kind in ranges.exact else MODIFY


def _identity(system: FileSystem, handle: bytes) -> FileId | None:
    found = inode_of(handle)
    return FileId(system.device, *found) if found is not None else None


def _add_handles(
    root: WatchedRoot, handles: set[bytes], batch: Batch, changes: Changes, names: Names
) -> None:
    """Add files to the ``names`` of changes; those without a name that is known may have other content."""
    for handle in handles:
        with suppress(OSError):  # removed, or in another file system
            if path := root.path(handle):
                root.told[handle] = path
                directory, name = split(path)
                names.setdefault(directory, set()).add(name)
            elif path is None and root.is_nameless(handle, batch):
                identity = _identity(root.system, handle)
                changes.files.update(() if identity is None else (identity,))
                changes.lost |= identity is None


def _names(root: WatchedRoot, places: Mapping[bytes, set[bytes]], names: Names) -> None:
    for place, found in places.items():
        if place.startswith(root.system.number):
            root.given[place] = path = root.paths.find(place)
            if path is not None:
                _add(names, path, found)


def _add(names: Names, path: bytes, found: set[bytes]) -> None:
    """Add what is named in the directory at ``path``; what it says of itself is said of its name."""
    names.setdefault(path, set()).update(found - {_SELF})
    if _SELF in found:
        directory, name = split(path)
        names.setdefault(directory, set()).add(name)
    if not names[path]:
        del names[path]
