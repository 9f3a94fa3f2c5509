"""Continuous replication: mirror once, then send what changes, in epochs, until told to stop."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from dtesx.base.errors import DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.mirror.catalogue import catalogue_path, open_catalogue
from dtesx.mirror.gathering import NotStill
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.partial import is_whole
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.tally import Tally, readable
from dtesx.model.changes import Changes
from dtesx.model.epoch import EpochKind
from dtesx.model.mirror import LinkOptions, MirrorOptions, OrphanAction
from dtesx.model.replication import ReplicationOptions, ReplicationPhase, ReplicationStatus, TargetStatus
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.replication.continuous.edges import Edge, Edges, Root
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.continuous.points import Points, Ticket
from dtesx.replication.guarding import Guard
from dtesx.replication.sending import OWN_STATE, route
from dtesx.replication.source_session import SourceSession
from dtesx.volumes.freezing import NotFrozen
from dtesx.wire.identity import Identity
from dtesx.wire.limiter import Limiter

log = get_logger(__name__)

RECONNECT = Backoff(first=0.5, cap=30.0, tries=8)


class Capture(Protocol):
    """Knows what changes on the source. Methods may be called while changes go on."""

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """What changed since the last call, by root; roots without changes may be missing.

        ``still``: nothing can be written at the moment.
        """


_TARGET = {
    None: TargetStatus.OK,
    MirrorPhase.TARGET_PAUSED: TargetStatus.PAUSED,
    MirrorPhase.TARGET_FULL: TargetStatus.FULL,
}
_MOST_MOVED = 1 << 20  # bytes of paths; they have to fit into one frame
_PAIR = 16


class Replication:
    """Keeps a request's roots equal on its target, as ``options`` say.

    ``status`` is called at every change and about once a second. Whatever happens to the link or
    the target, it goes on by itself; what the target has confirmed is not compared again.
    """

    def __init__(
        self,
        request: MirrorRequest,
        identity: Identity,
        capture: Capture,
        *,
        mirror: MirrorOptions,
        options: ReplicationOptions,
        link: LinkOptions,
        opener: Callable[[str], AbstractContextManager[int]],
        status: Callable[[ReplicationStatus], None],
        stop: threading.Event,
        catalogue: Path | None = None,
        backoff: Backoff = RECONNECT,
    ) -> None:
        self._request = request
        self._route = route(request, identity, tls=link.tls)
        self._capture = capture
        self._mirror = mirror
        self._options = options
        self._link = link
        self._limiter = Limiter(link.bandwidth)
        self._opener = opener
        self._status = status
        self._stop = stop
        self._catalogue = catalogue
        self._backoff = backoff
        self._roots = request.roots
        self._guard = Guard(opener, mirror.orphans, rebind=request.rebind)
        self._pending = Pending(self._roots)
        self._points = Points()
        self._session: SourceSession | None = None
        self._tally = Tally(failed=self._pending.failed)
        self._state = ReplicationStatus()
        self._links = {root: LinkNames() for root in self._roots}
        self._taken = 0.0
        self._told = 0.0
        self._leaving = False
        self._edges: Edges | None = None
        self._edge_at = 0.0
        self._unknown = False

    def request_point(self, *, consistent: bool) -> Ticket:
        """Have an epoch made soon that holds all that is written by now; from any thread."""
        return self._points.ask(consistent=consistent)

    def forget_point(self, ticket: Ticket) -> None:
        """Nobody waits for it any more; from any thread."""
        self._points.forget(ticket)

    def run(self) -> None:
        """Replicate until ``stop`` is set. Raises Halted, Refused and what ``opener`` raises."""
        self._guard.begin(self._roots)
        with ExitStack() as stack:
            with ExitStack() as opened:
                fds = [opened.enter_context(self._opener(root)) for root in self._roots]
                self._edges = stack.enter_context(closing(Edges(fds, self._options.freeze_budget)))
            self._run()

    def _run(self) -> None:
        delays = self._backoff.delays()
        while not self._stop.is_set():
            try:
                self._stream()
            except Interrupted:
                return
            except DtesxError as error:
                if not error.recoverable:
                    raise
                if self._state.phase is ReplicationPhase.REPLICATING:
                    delays = self._backoff.delays()
                log.warning("the target does not go on; replication does when it does", reason=error.message)
                self._say(ReplicationPhase.CONNECTING, problem=error.message)
                self._stop.wait(next(delays, self._backoff.cap))

    def _stream(self) -> None:
        self._say(ReplicationPhase.CONNECTING)
        session = SourceSession(
            self._route,
            job=self._request.job,
            roots=self._roots,
            link=self._link,
            limiter=self._limiter,
            tally=self._tally,
            tick=self._tick,
            backoff=self._backoff,
        )
        self._session = session
        try:
            session.greet()
            for index, root in enumerate(self._roots):
                session.bind(index, self._guard.look(root, self._scope(root), session.replicas[index]))
            self._take_up(session)
            while True:
                self._cycle(session)
        except Interrupted:
            if not session.in_epoch:  # which the target forgets when we just go
                self._leaving = True
                session.finish()
            raise
        finally:
            self._session = None
            session.close()

    def _take_up(self, session: SourceSession) -> None:
        """Go on from what the target has."""
        self._pending.resume(session.epoch, session.waiting)
        self._points.lost()
        self._confirmed()
        if session.epoch is None and session.waiting is None:
            self._first_mirror(session)

    def _first_mirror(self, session: SourceSession) -> None:
        """The target never was whole: what it gets now is worth something when all of it is there."""
        self._say(ReplicationPhase.MIRRORING)
        self._pending.mirrored_next()
        for index, root in enumerate(self._roots):
            self._update(session, index, root, Changes(everything=True))
            session.commit(index)

    def _cycle(self, session: SourceSession) -> None:
        """One epoch, and the wait for the next."""
        began = time.monotonic()
        self._say(ReplicationPhase.REPLICATING)
        self._collect()
        if self._pending.latest is None or self._pending or self._points.gathered:
            self._send_epoch(session)
        elif not self._pending.on_its_way:
            self._state = replace(self._state, current=self._taken)
        if self._edge_due(began):
            self._edge_at = began + self._options.consistent_every
            self._send_consistent(session)
        while (left := began + self._options.epoch - time.monotonic()) > 0 and not self._points.asked:
            session.wait(left)
            self._confirm(session)
        self._confirm(session)

    def _collect(self) -> None:
        self._taken = time.time()
        self._points.gather()
        changes = self._capture.drain()
        self._unknown = any(some.everything for some in changes.values())
        self._pending.add(changes)
        self._pending.retry(time.monotonic())

    def _send_epoch(self, session: SourceSession) -> None:
        changes = self._pending.take()
        try:
            self._send_moves(session, changes)
        except BaseException:
            self._pending.add(changes)  # they are in no epoch yet
            raise
        epoch = self._pending.epoch(EpochKind.FUZZY, self._taken, changes)
        self._points.sent(epoch)
        session.begin_epoch()
        for index, root in enumerate(self._roots):
            if changes[root]:
                self._update(session, index, root, changes[root])
        session.end_epoch(epoch)

    def _edge_due(self, now: float) -> bool:
        """Whether there is to be an epoch of one moment; ``now`` is seconds of a monotonic clock."""
        regular = self._options.consistent_every > 0 and now >= self._edge_at and not self._is_consistent()
        due = regular or self._points.consistent
        if due and self._unknown:
            self._fuzzy("it is not known what changed")
            self._points.give_up_consistent()
        return due and not self._unknown

    def _is_consistent(self) -> bool:
        """Whether the target has, or will have, what the source was at one moment, and nothing came since."""
        latest = self._pending.latest
        return latest is not None and latest.kind is not EpochKind.FUZZY

    def _send_consistent(self, session: SourceSession) -> None:
        """An epoch of one moment; where that cannot be, what was drained for it waits for the next one."""
        edges = self._edges
        assert edges is not None
        with ExitStack() as stack:
            roots = {
                root: Root(stack.enter_context(self._guard.open(root)), self._scope(root), self._links[root])
                for root in self._roots
            }
            changes: dict[str, Changes] = {}
            try:
                edge = stack.enter_context(edges.edge(roots, lambda: self._take_still(changes)))
            except (NotFrozen, NotStill) as error:
                edges.settle()  # for the time may have been up before changes were taken
                self._pending.add(changes)
                if not error.recoverable:
                    self._edge_at = math.inf
                    self._points.give_up_consistent()
                self._fuzzy(error.message)
                return
            finally:
                self._state = replace(self._state, freezes=edges.freezes)
            self._send_edge(session, edge, changes)

    def _take_still(self, changes: dict[str, Changes]) -> dict[str, Changes]:
        self._points.gather()
        self._pending.add(self._capture.drain(still=True))
        self._pending.retry_all()
        changes |= self._pending.take()
        for some in changes.values():
            if some.moved:  # moving changes the root's own times
                some.names.setdefault(b"", {})
        return changes

    def _send_edge(self, session: SourceSession, edge: Edge, changes: dict[str, Changes]) -> None:
        self._send_moves(session, changes)
        epoch = self._pending.epoch(EpochKind.CRASH, edge.taken, changes)
        session.begin_epoch()
        for index, root in enumerate(self._roots):
            if changes[root]:
                still = edge.stills[root]
                session.mirror(
                    index,
                    still.fd,
                    scope=self._scope(root),
                    options=self._mirror,
                    catalogue=None,
                    changed=still.changes,
                    bounded=True,
                )
        if self._pending.failing:
            epoch = self._pending.spoilt(epoch)
        self._points.sent(epoch)
        session.end_epoch(epoch)
        self._fuzzy(f"{self._pending.failing} paths failed" if self._pending.failing else "")

    def _fuzzy(self, why: str) -> None:
        if why and why != self._state.fuzzy:
            log.warning("epochs are fuzzy", reason=why)
        self._state = replace(self._state, fuzzy=why)

    def _send_moves(self, session: SourceSession, changes: dict[str, Changes]) -> None:
        """Have the target rename what was renamed, so that it is compared in its new place."""
        moved = {
            index: pairs
            for index, root in enumerate(self._roots)
            if not changes[root].everything and (pairs := self._pairs(root, changes[root]))
        }
        if not moved or self._mirror.orphans.action is not OrphanAction.DELETE:
            return
        # What happened before it was in the epoch before.
        latest = self._pending.latest
        epoch = self._pending.epoch(EpochKind.FUZZY, latest.taken if latest is not None else 0.0, {})
        session.begin_epoch()
        for index, pairs in moved.items():
            session.move(index, epoch.number, pairs)
            changes[self._roots[index]].names.setdefault(b"", {})  # moving changes the root's own times
        session.end_epoch(epoch)

    def _pairs(self, root: str, changes: Changes) -> list[tuple[bytes, bytes]]:
        scope = self._scope(root)
        pairs = [pair for pair in changes.moved if all(is_whole(path, scope) for path in pair)]
        return pairs if sum(len(old) + len(new) + _PAIR for old, new in pairs) < _MOST_MOVED else []

    def _update(self, session: SourceSession, index: int, root: str, changes: Changes) -> None:
        with self._guard.open(root) as fd:
            catalogue = None
            if changes.everything:
                self._links[root] = LinkNames()
                if self._catalogue is not None:
                    file = catalogue_path(self._catalogue, f"{self._request.job}:{root}")
                    catalogue = open_catalogue(file, fd)
            else:
                self._links[root].complete(fd, changes.names, self._tick)
            try:
                session.mirror(
                    index,
                    fd,
                    scope=self._scope(root),
                    options=self._mirror,
                    catalogue=catalogue,
                    changed=changes,
                    linked=self._links[root].note,
                )
                if catalogue is not None:
                    catalogue.keep()
            finally:
                if catalogue is not None:
                    catalogue.close()

    def _confirm(self, session: SourceSession) -> None:
        self._pending.kept(session.kept)
        if self._pending.confirm(session.applied):
            self._confirmed()

    def _confirmed(self) -> None:
        known = self._pending.known
        if known is not None:
            consistent = self._pending.consistent
            self._state = replace(self._state, epoch=known, current=known.taken, consistent=consistent)
            self._say(self._state.phase)
            self._points.applied(known.number, self._pending.failing)

    def _scope(self, root: str) -> Scope | None:
        return select((*self._mirror.rules, OWN_STATE), root)

    def _tick(self) -> None:
        if self._stop.is_set() and not self._leaving:
            raise Interrupted("the replication was stopped", hint="start it again; it goes on where it was")
        if time.monotonic() >= self._told:
            self._say(self._state.phase)

    def _say(self, phase: ReplicationPhase, *, problem: str = "") -> None:
        self._guard.check()
        self._told = time.monotonic() + 1.0
        self._state = replace(
            self._state,
            phase=phase,
            problem=problem or (self._session.reason if self._session is not None else ""),
            stats=self._tally.stats(),
            waiting=self._pending.waiting,
            busy=self._pending.on_its_way,
            failed=self._pending.failing,
        )
        self._see_target()
        self._status(self._state)

    def _see_target(self) -> None:
        """Note what the session knows of the target."""
        session = self._session
        if session is None or not session.connected:
            self._state = replace(self._state, target=TargetStatus.AWAY, connected_since=0.0)
            return
        self._state = replace(
            self._state,
            target=_TARGET[session.held],
            connected_since=self._state.connected_since or time.time(),
            queue=session.queued,
            last_file=readable(session.sent.last) or self._state.last_file,
        )
