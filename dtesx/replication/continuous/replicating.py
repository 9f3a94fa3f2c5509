"""Continuous replication: mirror once, then send what changes, in epochs, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from dtesx.base.errors import DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.mirror.catalogue import catalogue_path
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.tally import Tally, readable
from dtesx.model.changes import Changes
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.queue import QueueLimits
from dtesx.model.replication import (
    Remirror,
    ReplicationOptions,
    ReplicationPhase,
    ReplicationStatus,
    TargetStatus,
)
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.replication.continuous.consistent import Capture, ConsistentEpochs
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.continuous.permission import Permission
from dtesx.replication.continuous.points import Points, Ticket
from dtesx.replication.continuous.quiescing import Quiescing
from dtesx.replication.continuous.shipping import Shipping
from dtesx.replication.continuous.updating import Updater
from dtesx.replication.control import MirrorControl
from dtesx.replication.guarding import Guard
from dtesx.replication.queue.storage import check_folder
from dtesx.replication.sending import OWN_STATE, route
from dtesx.replication.source_session import SourceSession
from dtesx.wire.identity import Identity

log = get_logger(__name__)

RECONNECT = Backoff(first=0.5, cap=30.0, tries=8)


_TARGET = {
    None: TargetStatus.OK,
    MirrorPhase.TARGET_PAUSED: TargetStatus.PAUSED,
    MirrorPhase.TARGET_FULL: TargetStatus.FULL,
}
_SENDING = (ReplicationPhase.MIRRORING, ReplicationPhase.REPLICATING)
_DRAIN = 5.0
_LEAST_WAIT = 0.001


@dataclass(frozen=True)
class Assignment:
    """What is to be replicated where, as ``request`` says, and how.

    ``opener`` opens a root, ``identity`` is what the target knows us by. In the directory ``catalogue``
    what was read is kept for the next start. ``applications`` are prepared for epochs of one moment.
    """

    request: MirrorRequest
    identity: Identity
    mirror: MirrorOptions
    options: ReplicationOptions
    link: LinkOptions
    opener: Callable[[str], AbstractContextManager[int]]
    catalogue: Path | None = None
    backoff: Backoff = RECONNECT
    applications: Quiescing | None = None


class Replication:
    """Keeps the roots of an assignment equal on its target; ``capture`` tells what changes.

    ``status`` is called at every change and about once a second. Whatever happens to the link or
    the target, it goes on by itself; what the target has confirmed is not compared again.
    """

    def __init__(
        self,
        assignment: Assignment,
        capture: Capture,
        *,
        status: Callable[[ReplicationStatus], None],
        stop: threading.Event,
        control: MirrorControl | None = None,
    ) -> None:
        self._given = given = assignment
        self._route = route(given.request, given.identity, tls=given.link.tls)
        self._capture = capture
        self._control = control or MirrorControl()
        self._permission = Permission(given.link, self._control)
        self._status = status
        self._stop = stop
        self._roots = given.request.roots
        self._guard = Guard(given.opener, given.mirror.orphans, rebind=given.request.rebind)
        self._pending = Pending(self._roots, (given.link.ahead or QueueLimits()).memory)
        self._points = Points()
        self._session: SourceSession | None = None
        self._tally = Tally(failed=self._pending.failed)
        self._state = ReplicationStatus()
        self._updater = Updater(
            self._roots,
            self._guard,
            scope=self._scope,
            mirror=given.mirror,
            remirror=given.options.remirror.compare,
            catalogue=self._catalogue_of if given.catalogue is not None else None,
            tick=self._tick,
        )
        self._shipping = Shipping(
            self._roots, self._pending, self._points, self._updater, mirror=given.mirror, scope=self._scope
        )
        self._drain_at = self._taken = self._told = 0.0
        self._leaving = False
        self._consistent: ConsistentEpochs | None = None
        self._again = threading.Event()
        self._fresh: dict[str, Changes] = {}

    def request_mirror(self) -> None:
        """Have all of the roots mirrored again, as soon as something may be sent; from any thread."""
        self._again.set()

    def request_point(self, *, consistent: bool, task: str = "") -> Ticket:
        """Have an epoch made with all that is written by now, and ``task`` run then; from any thread."""
        return self._points.ask(consistent=consistent, task=task)

    def forget_point(self, ticket: Ticket) -> bool:
        """Nobody waits for it any more; from any thread. Returns whether it is on its way all the same."""
        return self._points.forget(ticket)

    def run(self) -> None:
        """Replicate until ``stop`` is set, or ``control`` stops it.

        Raises UsageError when the queue has no folder, Halted, Refused and what ``opener`` raises.
        """
        if self._given.link.ahead is not None:
            check_folder(self._given.link.ahead)
        self._guard.begin(self._roots)
        with ExitStack() as stack:
            stack.callback(self._updater.close)
            with ExitStack() as opened:
                fds = [opened.enter_context(self._given.opener(root)) for root in self._roots]
                self._consistent = stack.enter_context(closing(self._consistent_epochs(fds)))
            self._run()

    def _consistent_epochs(self, directories: Iterable[int]) -> ConsistentEpochs:
        return ConsistentEpochs(
            self._roots,
            directories,
            options=self._given.options,
            capture=self._capture,
            pending=self._pending,
            points=self._points,
            shipping=self._shipping,
            applications=self._given.applications,
            opened=self._guard.open,
            scope=self._scope,
            links=self._updater.names,
        )

    def _run(self) -> None:
        delays = self._given.backoff.delays()
        while not self._stop.is_set():
            try:
                self._stream()
            except Interrupted:
                return
            except DtesxError as error:
                if not error.recoverable:
                    raise
                if self._state.phase is not ReplicationPhase.CONNECTING:
                    delays = self._given.backoff.delays()
                log.warning("the target does not go on; replication does when it does", reason=error.message)
                self._say(ReplicationPhase.CONNECTING, problem=error.message)
                if not self._wait(next(delays, self._given.backoff.cap)):
                    return

    def _wait(self, seconds: float) -> bool:
        """Wait; False when told to stop."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, 1.0))
            try:
                self._tick()
            except Interrupted:
                return False
        return True

    def _stream(self) -> None:
        self._say(ReplicationPhase.CONNECTING)
        session = SourceSession(
            self._route,
            job=self._given.request.job,
            roots=self._roots,
            link=self._given.link,
            limiter=self._permission.limiter,
            tally=self._tally,
            tick=self._tick,
            backoff=self._given.backoff,
            control=self._control,
        )
        self._session = session
        try:
            session.greet()
            for index, root in enumerate(self._roots):
                session.bind(index, self._guard.look(root, self._scope(root), session.target.replicas[index]))
            self._shipping.take_up(session.target.epoch, session.target.waiting)
            self._confirmed()
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

    def _cycle(self, session: SourceSession) -> None:
        """One epoch, and the wait for the next; while all is mirrored, a slice of that."""
        began = time.monotonic()
        self._say(self._phase())
        self._collect(session)
        sends = self._phase() in _SENDING and self._permission.sends(self._pending)
        if sends:
            self._ship(session, began)
        self._confirm(session)
        left = 0.0 if sends and self._shipping.mirroring else self._given.options.epoch
        while left > 0 and not self._points.asked:
            left = began + self._given.options.epoch - time.monotonic()
            session.wait(max(left, _LEAST_WAIT))  # once at least: it is what notices a stop
            self._confirm(session)

    def _ship(self, session: SourceSession, began: float) -> None:
        fresh = self._fresh
        self._shipping.begin_mirrors(self._taken)
        if self._shipping.changes(session, self._taken):
            self._state = replace(self._state, current=self._taken)
        if self._fresh is fresh:
            self._fresh = {}
        now = time.monotonic()
        share = (now - began) / self._given.options.mirror_ratio
        self._shipping.slice(session, max(began + self._given.options.epoch, now + share))
        if not self._shipping.mirroring:
            assert self._consistent is not None
            if self._consistent.due(began):
                self._consistent.send(session, began)
            if self._pending.latest is not None:
                self._permission.sent()

    def _phase(self) -> ReplicationPhase:
        if (held := self._permission.held) is not None:
            return held
        if self._shipping.mirroring:
            return ReplicationPhase.MIRRORING
        if self._given.options.remirror is Remirror.NONE and self._pending.lost_track:
            return ReplicationPhase.UNMIRRORED
        return ReplicationPhase.REPLICATING

    def _collect(self, session: SourceSession) -> None:
        self._taken = time.time()
        if not self._shipping.mirroring:  # what is asked for meanwhile needs what comes after
            self._points.gather()
        self._drain()
        if self._again.is_set():
            self._again.clear()
            self._pending.doubt_everything()
            self._shipping.begin_mirrors(self._taken)
        self._pending.retry(time.monotonic())
        self._permission.expect(session, self._pending, mirroring=self._shipping.mirroring)

    def _drain(self) -> None:
        self._drain_at = time.monotonic() + max(_DRAIN, self._given.options.epoch)
        self._complete()
        self._fresh = changes = self._capture.drain()
        for root, some in changes.items():
            self._updater.names(root).dismiss(some)
        self._pending.add(changes)

    def _complete(self) -> None:
        """What was drained last and not looked at, has to be known by all names of its files.

        Of a name that goes, the next drain tells, but none after that.
        """
        changes, self._fresh = self._fresh, {}
        for root, some in changes.items():
            try:
                self._pending.add({root: self._updater.complete(root, some)})
            except Interrupted:
                raise
            except DtesxError as error:
                if not error.recoverable:
                    raise
                log.debug("names could not be looked for", reason=error.message)

    def _catalogue_of(self, root: str) -> Path:
        assert self._given.catalogue is not None
        return catalogue_path(self._given.catalogue, f"{self._given.request.job}:{root}")

    def _confirm(self, session: SourceSession) -> None:
        self._pending.kept(session.target.kept)
        while session.target.results:
            self._points.ended(session.target.results.popleft(), self._pending.failing)
        if self._pending.confirm(session.target.applied):
            self._confirmed()

    def _confirmed(self) -> None:
        known = self._pending.known
        if known is not None:
            consistent = self._pending.consistent
            self._state = replace(self._state, epoch=known, current=known.taken, consistent=consistent)
            self._say(self._state.phase)
            self._points.applied(known.number, self._pending.failing)

    def _scope(self, root: str) -> Scope | None:
        return select((*self._given.mirror.rules, OWN_STATE), root)

    @property
    def _stopped(self) -> bool:
        return self._stop.is_set() or self._control.stopped

    def _tick(self) -> None:
        if self._stopped and not self._leaving:
            raise Interrupted("the replication was stopped", hint="start it again; it goes on where it was")
        if time.monotonic() >= self._drain_at:
            self._drain()  # whatever keeps us waiting, what the kernel tells must not pile up
        self._permission.apply(self._session)
        if time.monotonic() >= self._told:
            self._say(self._state.phase)

    def _say(self, phase: ReplicationPhase, *, problem: str = "") -> None:
        self._guard.check()
        self._told = time.monotonic() + 1.0
        self._state = replace(
            self._state,
            phase=phase,
            problem=problem or (self._session.target.reason if self._session is not None else ""),
            stats=self._tally.stats(),
            waiting=self._pending.waiting,
            busy=self._pending.on_its_way,
            failed=self._pending.failed_paths,
            hints=self._pending.weight,
            blurred=self._pending.blurred,
        )
        if (epochs := self._consistent) is not None:
            self._state = replace(
                self._state, fuzzy=epochs.fuzzy, unquiesced=epochs.unquiesced, freezes=epochs.freezes
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
            target=_TARGET[session.target.held],
            connected_since=self._state.connected_since or time.time(),
            queue=session.queued,
            last_file=readable(session.sent.last) or self._state.last_file,
        )
