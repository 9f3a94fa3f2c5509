"""The replications that a source runs for jobs: one per job, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from dtesx.base.errors import Conflict, DtesxError, NotFound
from dtesx.base.log import get_logger
from dtesx.model.api import SourceReplication
from dtesx.model.capture import CaptureStatus
from dtesx.model.job import Problem
from dtesx.model.replication import ReplicationReport, ReplicationStatus
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.replication.continuous.reporting import ended, report
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import Identity

log = get_logger(__name__)

AGAIN_SECONDS = 60.0
"""When one that failed may be tried again: what failed it may have been mended by then."""

_STOP_SECONDS = 30.0

Told = Callable[[], ReplicationReport]


class RunReplication(Protocol):
    """Replicates as ``control`` says until ``stop`` is set.

    ``tell`` gets what tells where it stands, once it is under way.
    """

    def __call__(
        self,
        request: ReplicationRequest,
        identity: Identity,
        *,
        tell: Callable[[Told], None],
        control: MirrorControl,
        stop: threading.Event,
    ) -> None: ...


@dataclass
class _Running:
    request: ReplicationRequest
    told: Told
    started: float
    control: MirrorControl
    stop: threading.Event = field(default_factory=threading.Event)
    problem: Problem | None = None
    thread: threading.Thread | None = None
    over: float = 0.0

    @property
    def runs(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def is_as(self, request: ReplicationRequest) -> bool:
        """Whether it does what ``request`` asks for, but for what ``steer`` changes."""
        asked = request.mirror
        steered = replace(self.request.mirror, paused=asked.paused, bandwidth=asked.bandwidth)
        return replace(self.request, mirror=steered) == request

    def steer(self, asked: MirrorRequest) -> None:
        self.control.bandwidth = asked.bandwidth
        if asked.paused:
            self.control.pause()
        else:
            self.control.resume()

    def shown(self) -> SourceReplication:
        return SourceReplication(self.request.job, self.told(), self.problem)


class JobReplications:
    """Starts, watches and stops replications; ``identity`` is what the source shows to targets.

    ``forget`` removes what those of a job left.
    """

    def __init__(
        self,
        identity: Identity,
        run: RunReplication,
        forget: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity, self._run, self._forget, self._clock = identity, run, forget, clock
        self._known: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def start(self, request: ReplicationRequest) -> SourceReplication:
        """Start a replication. The same request again finds it running; another one takes its place.

        One that differs but in whether it is paused, and in its bandwidth, has the one that runs be so.
        One that failed is started again after AGAIN_SECONDS, and tells until then why it failed.
        Raises Conflict when the one it replaces does not end.
        """
        with self._lock:
            present = self._known.get(request.job)
            if present is not None:
                waits = present.problem is not None and self._clock() < present.over + AGAIN_SECONDS
                if present.is_as(request) and ((present.problem is None and present.runs) or waits):
                    present.steer(request.mirror)
                    return present.shown()
                self._end(present)
            control = MirrorControl(paused=request.mirror.paused, bandwidth=request.mirror.bandwidth)
            running = _Running(request, _first_report(request, time.time()), time.time(), control)
            running.thread = threading.Thread(
                target=self._go, args=(running,), name=f"replication-{request.job}", daemon=True
            )
            self._known[request.job] = running
            running.thread.start()
            return running.shown()

    def status(self, job: str) -> SourceReplication:
        """Where the job's replication stands; NotFound when there was none since the start."""
        running = self._known.get(job)
        if running is None:
            raise NotFound(f"job {job} does not replicate here", hint="start it: `dtesx job mirror`")
        return running.shown()

    def stop(self, job: str) -> None:
        """Stop the job's replication and wait for it; does nothing when there is none."""
        with self._lock:
            running = self._known.get(job)
            if running is not None:
                self._end(running)

    def forget(self, job: str) -> None:
        """Stop the job's replication, and remove what it left: the job is deleted."""
        with self._lock:
            running = self._known.get(job)
            if running is not None:
                self._end(running)
                del self._known[job]
            self._forget(job)

    def close(self) -> None:
        """Stop all of them, because the service ends; waits for them, within limits."""
        with self._lock:
            for running in self._known.values():
                running.stop.set()
            deadline = time.monotonic() + _STOP_SECONDS
            for running in self._known.values():
                if running.thread is not None:
                    running.thread.join(max(0.0, deadline - time.monotonic()))

    def _end(self, running: _Running) -> None:
        running.stop.set()
        if running.thread is not None:
            running.thread.join(_STOP_SECONDS)
        if running.runs:
            raise Conflict(
                f"the replication of job {running.request.job} does not stop",
                hint="try again in a minute; if that does not help, restart the source service",
            )

    def _go(self, running: _Running) -> None:
        def tell(told: Told) -> None:
            running.told = told

        job = running.request.job
        try:
            self._run(running.request, self._identity, tell=tell, control=running.control, stop=running.stop)
        except DtesxError as error:
            log.warning("replication failed", job=job, code=error.code, reason=error.message)
            running.problem = Problem(error.code, error.message, error.hint)
        except Exception as error:
            log.error("replication failed", exc_info=True, job=job)
            hint = "this is a defect in dtesx: please report it with the source service's log"
            running.problem = Problem("defect", f"{type(error).__name__}: {error}", hint)
        finally:
            running.over = self._clock()
            last = running.told()
            running.told = lambda: ended(last, time.time())


def _first_report(request: ReplicationRequest, started: float) -> Told:
    """What is told before the replication itself can tell anything."""
    return lambda: report(
        ReplicationStatus(),
        CaptureStatus(),
        source=", ".join(request.mirror.roots),
        target=f"{request.mirror.address}:{request.mirror.port}",
        at=time.time(),
        started=started,
        events_per_second=0.0,
    )
