"""The source's side of a mirror: views of its file systems, a connection, and another one if it breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.mirror.catalogue import Catalogue, catalogue_path, open_catalogue
from dtesx.mirror.measuring import measure
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.tally import Tally
from dtesx.mirror.view import View
from dtesx.model import specs
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.model.rules import Rule, RuleType
from dtesx.model.specs import MirrorSpec
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.replication.dialing import Route
from dtesx.replication.guarding import Guard
from dtesx.replication.queue.storage import check_folder
from dtesx.replication.remapping import LinkRemap
from dtesx.replication.source_session import SourceSession
from dtesx.replication.timetable import Timetable
from dtesx.volumes.views import open_view
from dtesx.wire.errors import StreamUnknown
from dtesx.wire.identity import Identity, fingerprint
from dtesx.wire.limiter import Limiter
from dtesx.wire.pairing import Shared
from dtesx.wire.tls import client_context

log = get_logger(__name__)

ViewOpener = Callable[[str], AbstractContextManager[int]]
"""Opens a mount point and yields a directory descriptor of it without its submounts."""

RECONNECT = Backoff(first=0.5, cap=10.0, tries=8)
OWN_STATE = Rule(specs.OWN_STATE, RuleType.EXCLUDE)
"""Where dtesx keeps its own state; it never travels: a replica must not pose as its source."""

DEFAULT_LINK = LinkOptions()

_PROGRESS = 0.2


def run_mirror(
    request: MirrorRequest,
    identity: Identity,
    *,
    progress: Callable[[MirrorPhase, MirrorStats], None],
    control: MirrorControl,
    opener: ViewOpener = open_view,
    backoff: Backoff = RECONNECT,
    calculate: bool = True,
    options: MirrorOptions | None = None,
    link: LinkOptions | None = None,
    catalogue: Path | None = None,
) -> MirrorStats:
    """Mirror the request's mount points to its target and return the counts.

    ``options`` say how, ``link`` how the two are joined; without them the request's job does.
    ``progress`` is called about five times a second, from this thread. With ``calculate`` the totals
    are counted first. A broken link is made again after ``backoff``'s delays and the mirror goes on
    where it was, or by difference when the target was restarted; the tries count anew whenever the
    target took something. A full target is waited for (phase TARGET_FULL), and so is the time
    to transmit by the link's plan (phase SCHEDULED). In the directory ``catalogue`` what was read of
    the sources is kept for the next time. While ``control`` pauses it (phase PAUSED) nothing is read;
    a target that is paused itself is waited for (phase TARGET_PAUSED). A limit that ``control`` sets
    holds from the next tick on.

    Before anything is sent, and while it is, the roots are checked to be what they were at the last
    mirror (mirror.safety); with the request's ``rebind`` they may have changed before.

    Raises UsageError when the queue has no folder, Halted when the roots are not what they were,
    Interrupted soon after ``control`` stops it, Refused, ConnectionFailed when the tries are used up,
    TargetFull when the target found out too late, and whatever ``opener`` raises.
    """
    options = options or job_options(request.mirror)
    link = link or request.link.options()
    mirror = _Mirror(request, identity, options, link, progress, control, opener, backoff, catalogue)
    return mirror.run(calculate=calculate)


class _Mirror:
    def __init__(
        self,
        request: MirrorRequest,
        identity: Identity,
        options: MirrorOptions,
        link: LinkOptions,
        progress: Callable[[MirrorPhase, MirrorStats], None],
        control: MirrorControl,
        opener: ViewOpener,
        backoff: Backoff,
        catalogue: Path | None,
    ) -> None:
        self._catalogue = catalogue
        self._request = request
        self._route = route(request, identity, tls=link.tls)
        self._options = options
        self._link = link
        self._limiter = Limiter(link.bandwidth)
        self._timetable = Timetable(link.plan, link.bandwidth) if link.plan is not None else None
        self._progress = progress
        self._control = control
        self._opener = opener
        self._backoff = backoff
        self._tally = Tally()
        self._phase = MirrorPhase.CALCULATING
        self._next_report = 0.0
        self._roots = request.roots
        self._done: set[str] = set()
        self._session: SourceSession | None = None
        self._guard = Guard(opener, options.orphans, rebind=request.rebind)

    def run(self, *, calculate: bool) -> MirrorStats:
        if self._link.ahead is not None:
            check_folder(self._link.ahead)
        self._guard.begin(self._roots)
        if calculate:
            self._enter(MirrorPhase.CALCULATING)
            for mount_point in self._roots:
                with self._opener(mount_point) as root:
                    measure(root, self._scope(mount_point), self._tally, self._pause)
        delays = self._backoff.delays()
        while (forgotten := self._stream()) is not None:
            if forgotten.progressed:
                delays = self._backoff.delays()
            self._wait(next(delays, None), forgotten)
        if not calculate:
            self._tally.conclude()
        return self._tally.stats()

    def _stream(self) -> _Forgotten | None:
        """Mirror what is not done yet over one stream, to its end, or until the target forgot it."""
        self._pause()
        self._phase = MirrorPhase.CONNECTING
        session = SourceSession(
            self._route,
            job=self._request.job,
            roots=self._roots,
            link=self._link,
            limiter=self._limiter,
            tally=self._tally,
            tick=lambda: self._session_tick(session),
            backoff=self._backoff,
            control=self._control,
        )
        self._session = session
        try:
            session.greet()
            left = [root for root in enumerate(self._roots) if root[1] not in self._done]
            for index, mount_point in left:
                replica = session.target.replicas[index]
                session.bind(index, self._guard.look(mount_point, self._scope(mount_point), replica))
            remap = None
            if self._options.remap_links:
                remap = LinkRemap(self._roots, session.target.replicas, self._scope)
            for index, mount_point in left:
                self._mirror_root(session, index, mount_point, remap)
            session.finish()
        except StreamUnknown as error:
            return _Forgotten(error, session.progressed)
        finally:
            self._session = None
            session.close()
        return None

    def _mirror_root(
        self, session: SourceSession, index: int, mount_point: str, remap: LinkRemap | None
    ) -> None:
        self._tally.restart()
        with ExitStack() as stack:
            root = stack.enter_context(self._guard.open(mount_point))
            catalogue = self._open_catalogue(mount_point, root, remap)
            if catalogue is not None:
                stack.callback(catalogue.close)
            view = View(scope=self._scope(mount_point), catalogue=catalogue, remap=remap)
            session.mirror(index, root, self._options, view)
            session.commit(index)
            if catalogue is not None:
                catalogue.keep()
        self._tally.settle()
        self._done.add(mount_point)

    def _open_catalogue(self, mount_point: str, root: int, remap: LinkRemap | None) -> Catalogue | None:
        if self._catalogue is None:
            return None
        path = catalogue_path(self._catalogue, f"{self._request.job}:{mount_point}")
        return open_catalogue(path, root, remap=remap.mark if remap is not None else b"")

    def _scope(self, mount_point: str) -> Scope | None:
        return select((*self._options.rules, OWN_STATE), mount_point)

    def _wait(self, delay: float | None, forgotten: _Forgotten) -> None:
        if delay is None:
            raise ConnectionFailed(
                "the target starts again and again without taking anything",
                hint="look at the target's log, then start the mirror again",
            ) from forgotten.error
        log.warning("the target was restarted; the mirror goes on by difference", job=self._request.job)
        deadline = time.monotonic() + delay
        while (left := deadline - time.monotonic()) > 0:
            self._control.wait(min(left, _PROGRESS))
            self._tick()

    def _session_tick(self, session: SourceSession) -> None:
        phase = MirrorPhase.RUNNING if session.connected else MirrorPhase.CONNECTING
        if self._timetable is not None:
            session.schedule(self._timetable)
            if self._timetable.holding and session.connected:
                phase = MirrorPhase.SCHEDULED
        self._limit()
        if phase is not self._phase:
            self._phase, self._next_report = phase, 0.0
        self._tick()

    def _limit(self) -> None:
        rate = self._control.bandwidth
        if rate is None:
            rate = self._link.bandwidth if self._timetable is None else self._timetable.bandwidth
        self._limiter.rate = rate

    def _enter(self, phase: MirrorPhase) -> None:
        self._phase, self._next_report = phase, 0.0
        self._tick()

    def _pause(self) -> None:
        """Tick, and go on doing so while the mirror is to wait."""
        self._tick()
        while self._control.paused:
            self._control.wait(_PROGRESS)
            self._tick()

    def _tick(self) -> None:
        if self._control.stopped:
            raise Interrupted("the mirror was stopped", hint="start it again; it goes on with what differs")
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _PROGRESS
            self._guard.check()
            self._progress(self._shown(), self._tally.stats())

    def _shown(self) -> MirrorPhase:
        if self._control.paused:
            return MirrorPhase.PAUSED
        if self._session is not None and self._session.connected:
            return self._session.target.held or self._phase
        return self._phase


@dataclass(frozen=True)
class _Forgotten:
    """A stream that the target does not know any more; ``progressed``: it had taken something."""

    error: StreamUnknown
    progressed: bool


def route(request: MirrorRequest, identity: Identity, *, tls: bool = True) -> Route:
    """The way to a request's target; without ``tls``, its secret is what proves both sides."""
    if tls:
        security = client_context(request.certificate, identity)
        return Route(request.address, request.port, security)
    shared = Shared(request.secret, identity.fingerprint, fingerprint(request.certificate))
    return Route(request.address, request.port, shared)


def job_options(spec: MirrorSpec) -> MirrorOptions:
    """How a job's file systems are mirrored."""
    behind = (Rule(path, RuleType.EXCLUDE, wildcards=False) for path in spec.exclude)
    return MirrorOptions(spec.compare, rules=tuple(behind))
