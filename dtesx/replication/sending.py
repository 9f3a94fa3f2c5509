"""The source's side of a mirror: views of its file systems, a connection, and another one if it breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.mirror.mirroring import measure
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.tally import Tally
from dtesx.model.api import MirrorPhase, MirrorRequest
from dtesx.model.job import MirrorSpec
from dtesx.model.layout import mount_key
from dtesx.model.mirror import MirrorOptions
from dtesx.model.rules import Rule, RuleType
from dtesx.model.stats import MirrorStats
from dtesx.replication.source_session import SourceSession, connect
from dtesx.volumes.views import open_view
from dtesx.wire.identity import Identity
from dtesx.wire.tls import client_context

log = get_logger(__name__)

ViewOpener = Callable[[str], AbstractContextManager[int]]
"""Opens a mount point and yields a directory descriptor of it without its submounts."""

RECONNECT = Backoff(first=0.5, cap=10.0, tries=8)
OWN_STATE = Rule("/var/lib/dtesx", RuleType.EXCLUDE)
"""Where dtesx keeps its own state; it never travels: a replica must not pose as its source."""

_PROGRESS = 0.2


def run_mirror(
    request: MirrorRequest,
    identity: Identity,
    *,
    progress: Callable[[MirrorPhase, MirrorStats], None],
    stop: threading.Event,
    opener: ViewOpener = open_view,
    backoff: Backoff = RECONNECT,
    calculate: bool = True,
    options: MirrorOptions | None = None,
) -> MirrorStats:
    """Mirror the request's mount points to its target and return the counts.

    ``options`` say how; without them the request's job does. ``progress`` is called about five times
    a second, from this thread. With ``calculate`` the totals are counted first. A broken link is made
    again after ``backoff``'s delays and the mirror goes on by difference; the tries count anew
    whenever the target took something. A full target is waited for (phase TARGET_FULL).

    Raises Interrupted soon after ``stop`` is set, Refused, ConnectionFailed when the tries are used
    up, TargetFull when the target found out too late, and whatever ``opener`` raises.
    """
    options = options or job_options(request.mirror)
    return _Mirror(request, identity, options, progress, stop, opener, backoff).run(calculate=calculate)


class _Mirror:
    def __init__(
        self,
        request: MirrorRequest,
        identity: Identity,
        options: MirrorOptions,
        progress: Callable[[MirrorPhase, MirrorStats], None],
        stop: threading.Event,
        opener: ViewOpener,
        backoff: Backoff,
    ) -> None:
        self._request = request
        self._context = client_context(request.certificate, identity)
        self._options = options
        self._progress = progress
        self._stop = stop
        self._opener = opener
        self._backoff = backoff
        self._tally = Tally()
        self._phase = MirrorPhase.CALCULATING
        self._next_report = 0.0
        self._roots = tuple(sorted(request.mount_points, key=mount_key))
        self._done: set[str] = set()
        self._session: SourceSession | None = None

    def run(self, *, calculate: bool) -> MirrorStats:
        if calculate:
            self._enter(MirrorPhase.CALCULATING)
            for mount_point in self._roots:
                with self._opener(mount_point) as root:
                    measure(root, self._scope(mount_point), self._tally, self._tick)
        delays = self._backoff.delays()
        while True:
            try:
                self._enter(MirrorPhase.CONNECTING)
                self._attempt()
            except _Lost as lost:
                if lost.progressed:
                    delays = self._backoff.delays()
                self._wait(next(delays, None), lost.error)
            else:
                return self._tally.stats()

    def _attempt(self) -> None:
        request = self._request
        try:
            sock = connect(request.address, request.port, self._context)
        except ConnectionFailed as error:
            raise _Lost(error, progressed=False) from error
        session = SourceSession(sock, job=request.job, roots=self._roots, tally=self._tally, tick=self._tick)
        self._session = session
        try:
            session.greet()
            self._enter(MirrorPhase.RUNNING)
            for index, mount_point in enumerate(self._roots):
                if mount_point not in self._done:
                    self._mirror_root(session, index, mount_point)
        except ConnectionFailed as error:
            raise _Lost(error, progressed=session.progressed) from error
        finally:
            self._session = None
            session.close()

    def _mirror_root(self, session: SourceSession, index: int, mount_point: str) -> None:
        self._tally.restart()
        with self._opener(mount_point) as root:
            session.mirror(index, root, scope=self._scope(mount_point), options=self._options)
        self._tally.settle()
        self._done.add(mount_point)

    def _scope(self, mount_point: str) -> Scope | None:
        return select((*self._options.rules, OWN_STATE), mount_point)

    def _wait(self, delay: float | None, error: ConnectionFailed) -> None:
        if delay is None:
            raise ConnectionFailed(
                f"the mirror lost its target for good: {error.message}",
                hint=error.hint or "check the network and the target, then start the mirror again",
            ) from error
        log.warning("connection lost", job=self._request.job, reason=error.message, again_in=delay)
        self._enter(MirrorPhase.CONNECTING)
        deadline = time.monotonic() + delay
        while (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, _PROGRESS))
            self._tick()

    def _enter(self, phase: MirrorPhase) -> None:
        self._phase, self._next_report = phase, 0.0
        self._tick()

    def _tick(self) -> None:
        if self._stop.is_set():
            raise Interrupted("the mirror was stopped", hint="start it again; it goes on with what differs")
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _PROGRESS
            full = self._session is not None and self._session.full
            self._progress(MirrorPhase.TARGET_FULL if full else self._phase, self._tally.stats())


class _Lost(Exception):
    """A connection that could not be made or broke; ``progressed``: the target had taken something."""

    def __init__(self, error: ConnectionFailed, *, progressed: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.progressed = progressed


def job_options(spec: MirrorSpec) -> MirrorOptions:
    """How a job's file systems are mirrored."""
    behind = (Rule(path, RuleType.EXCLUDE, wildcards=False) for path in spec.exclude)
    return MirrorOptions(spec.compare, rules=tuple(behind))
