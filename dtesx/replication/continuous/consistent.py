"""Epochs of one moment: when there is to be one, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from dtesx.base.log import get_logger
from dtesx.mirror.gathering import NotStill, unknown
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.selection import Scope
from dtesx.model.changes import Changes
from dtesx.model.epoch import EpochKind
from dtesx.model.replication import FreezeStats, ReplicationOptions
from dtesx.replication.continuous.edges import Edges, Root
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.continuous.points import Points
from dtesx.replication.continuous.quiescing import NotQuiesced, Quiescing
from dtesx.replication.continuous.shipping import Shipping
from dtesx.replication.source_session import SourceSession
from dtesx.volumes.freezing import NotFrozen

log = get_logger(__name__)


class Capture(Protocol):
    """Knows what changes on the source. Methods may be called while changes go on."""

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """What changed since the last call, by root; roots without changes may be missing.

        ``still``: nothing can be written at the moment.
        """


class ConsistentEpochs:
    """Makes epochs of one moment of ``roots``, as ``options`` say and as ``points`` ask.

    ``opened`` opens a root, ``scope`` says what of it travels, ``links`` knows the names of its files.
    ``directories`` are descriptors of the roots, that stay the caller's; ``applications`` are prepared for
    each. For one thread. Raises CommandFailed.
    """

    def __init__(
        self,
        roots: Sequence[str],
        directories: Iterable[int],
        *,
        options: ReplicationOptions,
        capture: Capture,
        pending: Pending,
        points: Points,
        shipping: Shipping,
        applications: Quiescing | None,
        opened: Callable[[str], AbstractContextManager[int]],
        scope: Callable[[str], Scope | None],
        links: Callable[[str], LinkNames],
    ) -> None:
        self._roots = roots
        self._options = options
        self._capture = capture
        self._pending = pending
        self._points = points
        self._shipping = shipping
        self._applications = applications
        self._opened = opened
        self._scope = scope
        self._links = links
        self._edges = Edges(directories, options.freeze_budget, self._kept_still)
        self._next = 0.0
        if applications is not None:
            applications.recover()
        self.fuzzy = ""
        """Why the latest epoch that was to be of one moment was none; empty: it was."""
        self.unquiesced = ""
        """Why the applications were not prepared for the latest one; empty: they were, or there are none."""

    def close(self) -> None:
        """End what freezes."""
        self._edges.close()

    @property
    def freezes(self) -> FreezeStats:
        """For how long file systems were frozen."""
        return self._edges.freezes

    def due(self, now: float) -> bool:
        """Whether there is to be one; ``now`` is seconds of a monotonic clock."""
        regular = self._options.consistent_every > 0 and now >= self._next and not self._is_there()
        return regular or self._points.consistent

    def send(self, session: SourceSession, now: float) -> None:
        """Make one and send it; where that cannot be, what was drained for it waits for the next epoch."""
        self._next = now + self._options.consistent_every
        with ExitStack() as stack:
            roots = {
                root: Root(stack.enter_context(self._opened(root)), self._scope(root)) for root in self._roots
            }
            taking = _Taking(roots, self._links, self._capture, self._pending, self._points)
            try:
                edge = stack.enter_context(self._edges.edge(roots, taking))
            except (NotFrozen, NotStill) as error:
                self._edges.settle()  # for the time may have been up before changes were taken
                self._pending.add(taking.taken)
                if not error.recoverable:
                    self._next = math.inf
                if not error.recoverable or not taking.known:
                    self._points.give_up_consistent()
                self._points.ungather()
                self._explain(error.message)
                return
            except BaseException:
                self._pending.add(taking.taken)
                raise
            self._shipping.edge(session, edge, taking.taken)
            self._explain(f"{self._pending.failing} paths failed" if self._pending.failing else "")

    @contextmanager
    def _kept_still(self) -> Iterator[EpochKind]:
        """Run the block while the applications are prepared, if they can be; yields what is come to then."""
        with ExitStack() as stack:
            kind, self.unquiesced = EpochKind.CRASH, ""
            if self._applications is not None:
                try:
                    stack.enter_context(self._applications.quiesced())
                    kind = EpochKind.APPLICATION
                except NotQuiesced as error:
                    self.unquiesced = error.message
            yield kind

    def _is_there(self) -> bool:
        """Whether the target has, or will have, what the source was at one moment, and nothing came since."""
        latest = self._pending.latest
        return latest is not None and latest.kind is not EpochKind.FUZZY

    def _explain(self, why: str) -> None:
        if why and why != self.fuzzy:
            log.warning("epochs are fuzzy", reason=why)
        self.fuzzy = why


class _Taking:
    """Takes what changed below ``roots`` until an edge, with all names of files; ``taken`` is what was."""

    def __init__(
        self,
        roots: Mapping[str, Root],
        links: Callable[[str], LinkNames],
        capture: Capture,
        pending: Pending,
        points: Points,
    ) -> None:
        self._roots = roots
        self._links = links
        self._capture = capture
        self._pending = pending
        self._points = points
        self.taken = {root: Changes() for root in roots}

    @property
    def known(self) -> bool:
        """Whether all that changed is known."""
        return not any(some.everything or some.blurred for some in self.taken.values())

    def so_far(self, pause: Callable[[], None]) -> Mapping[str, Changes]:
        self._pending.add(self._capture.drain())
        return self._take(pause)

    def at_last(self, pause: Callable[[], None]) -> Mapping[str, Changes]:
        self._points.gather()
        self._pending.add(self._capture.drain(still=True))
        self._pending.retry_all()
        return self._take(pause)

    def _take(self, pause: Callable[[], None]) -> Mapping[str, Changes]:
        late = self._pending.take()
        try:
            for root, some in late.items():
                if some and not (some.everything or some.blurred):
                    self._links(root).complete(self._roots[root].fd, some, pause)
        finally:
            for root, some in late.items():
                if some:
                    self.taken[root].add(some)
        if not self.known:  # nothing has to be frozen to find that out
            raise unknown()
        for root, some in self.taken.items():
            if some.moved:  # moving changes the root's own times
                for changes in (some, late[root]):
                    changes.names.setdefault(b"", {})
        return late
