"""Sending what is pending, as epochs: changes, slices of mirrors, and what was read at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dtesx.mirror.partial import is_whole
from dtesx.mirror.replaced import Below, named, replaced
from dtesx.mirror.selection import Scope
from dtesx.mirror.view import View
from dtesx.model.changes import Changes, Touch
from dtesx.model.epoch import Epoch, EpochKind, InsertedTask
from dtesx.model.mirror import MirrorOptions, OrphanAction
from dtesx.replication.continuous.edges import Edge
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.continuous.points import Points
from dtesx.replication.continuous.updating import Updater
from dtesx.replication.source_session import SourceSession
from dtesx.wire.items import reserved

_MOST_MOVED = 1 << 20  # bytes of paths; they have to fit into one frame
_PAIR = 16


class Shipping:
    """Sends what is ``pending`` of ``roots`` through ``updater``, and tells ``points`` what went.

    Methods raise what a session raises; what was not sent then is pending again, or will be when
    ``take_up`` begins anew.
    """

    def __init__(
        self,
        roots: tuple[str, ...],
        pending: Pending,
        points: Points,
        updater: Updater,
        *,
        mirror: MirrorOptions,
        scope: Callable[[str], Scope | None],
    ) -> None:
        self._roots = roots
        self._pending = pending
        self._points = points
        self._updater = updater
        self._mirror = mirror
        self._scope = scope
        self._first = False  # what is mirrored is the first that the target gets
        self._began = 0.0  # when the mirror under way began
        self._looked: Mapping[str, Changes] | None = None  # at what the latest epoch did; None: at anything

    @property
    def mirroring(self) -> bool:
        """Whether all of a root is being mirrored, or has to be before anything else."""
        return self._first or self._updater.mirroring is not None

    def take_up(self, reached: Epoch | None, waiting: Epoch | None) -> None:
        """Go on with a target that applied ``reached`` last, and has epochs up to ``waiting``.

        None and None: it never was whole.
        """
        for root, position in self._pending.resume(reached, waiting):
            self._updater.rewind(root, position)
        self._points.lost()
        self._looked = None
        self._first = reached is None and waiting is None
        if self._first:
            self._pending.doubt_everything()
            self._updater.close()

    def begin_mirrors(self, taken: float) -> None:
        """Begin to mirror the roots of which it was not known at ``taken`` what had changed."""
        if self._updater.mirroring is None:
            self._began = taken
            for root in self._pending.unknown():
                since = self._pending.unsure_since(taken)
                self._updater.begin(root, since, blurred=self._pending.mirror(root))

    def changes(self, session: SourceSession, taken: float) -> bool:
        """Send what changed until ``taken``, but for what a slice of a mirror will see anyway.

        Whether the target has all of it already.
        """
        changes = self._pending.take()
        with self._keeping(changes):
            for root in self._roots:
                if changes[root].inodes:
                    self._updater.seek(root, changes[root])
        for root in self._roots:
            changes[root], later = self._updater.sent_so_far(root, changes[root])
            self._pending.add({root: later})
        mirroring = self._updater.mirroring is not None
        if self._first:
            with self._keeping(changes):
                self._update(session, changes, {})
        elif any(changes.values()) or (not mirroring and self._due):
            with self._keeping(changes):
                moved = self._moves(session, changes)
            epoch = self._pending.epoch(EpochKind.FUZZY, self._before if mirroring else taken, changes)
            tasks = [] if mirroring else self._points.sent(epoch)
            session.begin_epoch()
            self._update(session, changes, moved)
            session.end_epoch(epoch, tasks)
            self._looked = changes
        else:
            return not (self._pending.on_its_way or mirroring)
        return False

    @property
    def _due(self) -> bool:
        """Whether there is to be an epoch though nothing changed."""
        return self._pending.latest is None or self._points.gathered

    @property
    def _before(self) -> float:
        """All that was written before was sent."""
        latest = self._pending.latest
        return latest.taken if latest is not None else 0.0

    def slice(self, session: SourceSession, deadline: float) -> None:
        """Send a slice of a mirror under way, if there is one, until ``deadline`` (a monotonic time)."""
        root = self._updater.mirroring
        if root is None:
            return
        self._looked = None
        changes = self._pending.take()
        changes[root], hints = self._updater.sent_so_far(root, changes[root])
        self._pending.add(changes)

        def enough() -> bool:
            return time.monotonic() >= deadline

        if self._first:
            with self._keeping({root: hints}):
                left = self._updater.slice(session, root, hints, enough)
                self._end_first(session)
        else:
            position = self._updater.position(root)
            epoch = self._pending.epoch(EpochKind.FUZZY, self._before, {root: hints}, slice_=(root, position))
            session.begin_epoch()
            left = self._updater.slice(session, root, hints, enough)
            tasks: list[InsertedTask] = []
            if self._updater.mirroring is None:
                epoch = self._pending.taken(self._began)
                tasks = self._points.sent(epoch)
            session.end_epoch(epoch, tasks)
        self._pending.add({root: left})

    def _end_first(self, session: SourceSession) -> None:
        if self._updater.mirroring is None:
            for index in range(len(self._roots)):
                session.commit(index)
            self._first = False

    def edge(self, session: SourceSession, edge: Edge, changes: dict[str, Changes]) -> None:
        """Send ``changes`` as they were read at one moment, ``edge``."""
        with self._keeping(changes):
            moved = self._moves(session, changes)
        epoch = self._pending.epoch(edge.kind, edge.taken, changes)
        session.begin_epoch()
        for index, root in enumerate(self._roots):
            if changes[root]:
                still = edge.stills[root]
                doubtful = replaced(still.changes.names, moved.get(root, ()))
                view = View(scope=self._scope(root), changed=still.changes, replaced=doubtful, bounded=True)
                session.mirror(index, still.fd, self._mirror, view)
        if self._pending.failing:
            epoch = self._pending.spoilt(epoch)
        session.end_epoch(epoch, self._points.sent(epoch))
        self._looked = changes

    @contextmanager
    def _keeping(self, changes: Mapping[str, Changes]) -> Iterator[None]:
        """Should it fail, ``changes`` are pending again; they are in no epoch."""
        try:
            yield
        except BaseException:
            self._pending.add(changes)
            raise

    def _moves(self, session: SourceSession, changes: dict[str, Changes]) -> dict[str, set[bytes]]:
        """Have the target rename what was renamed, so that it is compared in its new place.

        Returns the new paths of what certainly is the same on the target.
        """
        moved = {
            index: pairs
            for index, root in enumerate(self._roots)
            if not changes[root].everything and (pairs := self._pairs(root, changes[root]))
        }
        for some in changes.values():  # never twice, whatever becomes of the epoch after it
            some.moved = []
        if not moved or self._mirror.orphans.action is not OrphanAction.DELETE:
            return {}
        # Moving changes the root's own times.
        renames = {self._roots[index]: Changes({b"": {}}, moved=pairs) for index, pairs in moved.items()}
        # What happened before it was in the epoch before.
        epoch = self._pending.epoch(EpochKind.FUZZY, self._before, renames)
        session.begin_epoch()
        for index, pairs in moved.items():
            session.move(index, epoch.number, pairs)
            changes[self._roots[index]].names.setdefault(b"", {})
        session.end_epoch(epoch)
        return {self._roots[index]: self._same(self._roots[index], pairs) for index, pairs in moved.items()}

    def _same(self, root: str, pairs: list[tuple[bytes, bytes]]) -> set[bytes]:
        """The new paths of what the target had by the old ones.

        When the latest epoch looked at an old path, there may have been something else by then.
        """
        looked = self._looked[root] if self._looked is not None else Changes(everything=True)
        if looked.everything or looked.blurred:
            return set()
        seen = Below(named(looked.names, Touch(0)))
        return {new for old, new in pairs if old not in seen}

    def _pairs(self, root: str, changes: Changes) -> list[tuple[bytes, bytes]]:
        scope = self._scope(root)
        pairs = [
            pair
            for pair in changes.moved
            if all(is_whole(path, scope) and not reserved(path) for path in pair)
        ]
        return pairs if sum(len(old) + len(new) + _PAIR for old, new in pairs) < _MOST_MOVED else []

    def _update(
        self, session: SourceSession, changes: Mapping[str, Changes], moved: Mapping[str, set[bytes]]
    ) -> None:
        for root in self._roots:
            if changes[root]:
                self._updater.update(session, root, changes[root], moved.get(root, ()))
