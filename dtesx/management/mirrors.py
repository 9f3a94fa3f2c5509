"""The mirrors that a source runs: one per job, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from dtesx.base.errors import Conflict, DtesxError, Interrupted, NotFound
from dtesx.base.log import get_logger
from dtesx.model.api import MirrorStatus
from dtesx.model.job import Problem
from dtesx.model.request import FINAL_PHASES, MirrorPhase, MirrorRequest
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import Identity

log = get_logger(__name__)

_STOP_SECONDS = 30.0

Progress = Callable[[MirrorPhase, MirrorStats], None]


class RunMirror(Protocol):
    """The engine's mirror (replication.sending.run_mirror)."""

    def __call__(
        self, request: MirrorRequest, identity: Identity, *, progress: Progress, control: MirrorControl
    ) -> MirrorStats: ...


@dataclass
class _Mirror:
    request: MirrorRequest
    status: MirrorStatus
    control: MirrorControl
    thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def shown(self) -> MirrorStatus:
        return replace(self.status, bandwidth=self.control.bandwidth)


class Mirrors:
    """Starts, watches and stops mirrors; ``identity`` is what the source shows to targets."""

    def __init__(self, identity: Identity, run_mirror: RunMirror) -> None:
        self._identity, self._run_mirror = identity, run_mirror
        self._mirrors: dict[str, _Mirror] = {}
        self._lock = threading.Lock()

    def start(self, request: MirrorRequest) -> MirrorStatus:
        """Start a mirror. The same request again finds it running; another one takes its place.

        Raises Conflict when the one it replaces does not end.
        """
        with self._lock:
            present = self._mirrors.get(request.job)
            if present is not None and present.runs:
                # One that has its result, but whose thread still lives for a moment, is over: it
                # must not pass for the new mirror.
                asked = replace(present.request, paused=request.paused, bandwidth=request.bandwidth)
                if asked == request and present.status.phase not in FINAL_PHASES:
                    return present.shown()
                self._end(present)
            status = MirrorStatus(request.job, MirrorPhase.CONNECTING, started=time.time())
            control = MirrorControl(paused=request.paused, bandwidth=request.bandwidth)
            mirror = _Mirror(request, status, control)
            mirror.thread = threading.Thread(
                target=self._run, args=(mirror,), name=f"mirror-{request.job}", daemon=True
            )
            self._mirrors[request.job] = mirror
            mirror.thread.start()
            return mirror.shown()

    def status(self, job: str) -> MirrorStatus:
        """Where the job's latest mirror stands; NotFound when there was none since the start."""
        mirror = self._mirrors.get(job)
        if mirror is None:
            raise NotFound(f"there is no mirror of job {job} here", hint="start one: `dtesx job mirror`")
        return mirror.shown()

    def under_way(self, job: str) -> bool:
        """Whether a mirror of the job has begun and not ended."""
        mirror = self._mirrors.get(job)
        return mirror is not None and mirror.status.phase not in FINAL_PHASES

    def stop(self, job: str) -> None:
        """Stop a running mirror and wait for it; does nothing when there is none."""
        with self._lock:
            mirror = self._mirrors.get(job)
            if mirror is not None and mirror.runs:
                self._end(mirror)

    def pause(self, job: str) -> None:
        """Have a mirror wait where it is. Raises NotFound when none is under way."""
        self._under_way(job).control.pause()

    def resume(self, job: str) -> None:
        """Have a mirror go on where it was. Raises NotFound when none is under way."""
        self._under_way(job).control.resume()

    def limit(self, job: str, bandwidth: int | None) -> None:
        """Have a limit hold (MirrorControl). Raises NotFound when no mirror is under way."""
        self._under_way(job).control.bandwidth = bandwidth

    def _under_way(self, job: str) -> _Mirror:
        mirror = self._mirrors.get(job)
        if mirror is None or mirror.status.phase in FINAL_PHASES:
            raise NotFound(f"no mirror of job {job} is under way", hint="start one: `dtesx job mirror`")
        return mirror

    def close(self) -> None:
        """Stop all mirrors, because the service ends; waits for them, within limits."""
        with self._lock:
            running = [mirror for mirror in self._mirrors.values() if mirror.runs]
            for mirror in running:
                mirror.control.stop()
            deadline = time.monotonic() + _STOP_SECONDS
            for mirror in running:
                if mirror.thread is not None:
                    mirror.thread.join(max(0.0, deadline - time.monotonic()))

    def _end(self, mirror: _Mirror) -> None:
        mirror.control.stop()
        if mirror.thread is not None:
            mirror.thread.join(_STOP_SECONDS)
        if mirror.runs:
            raise Conflict(
                f"the mirror of job {mirror.request.job} does not stop",
                hint="try again in a minute; if that does not help, restart the source service",
            )

    def _run(self, mirror: _Mirror) -> None:
        def progress(phase: MirrorPhase, stats: MirrorStats) -> None:
            mirror.status = replace(mirror.status, phase=phase, stats=stats)

        try:
            stats = self._run_mirror(
                mirror.request, self._identity, progress=progress, control=mirror.control
            )
        except Interrupted:
            mirror.status = replace(mirror.status, phase=MirrorPhase.STOPPED)
        except DtesxError as error:
            log.warning("mirror failed", job=mirror.request.job, code=error.code, reason=error.message)
            _fail(mirror, Problem(error.code, error.message, error.hint))
        except Exception as error:
            log.error("mirror failed", exc_info=True, job=mirror.request.job)
            hint = "this is a defect in dtesx: please report it with the source service's log"
            _fail(mirror, Problem("defect", f"{type(error).__name__}: {error}", hint))
        else:
            mirror.status = replace(mirror.status, phase=MirrorPhase.DONE, stats=stats)
            log.info("mirror done", job=mirror.request.job, files=stats.files_sent, seconds=stats.seconds)


def _fail(mirror: _Mirror, problem: Problem) -> None:
    mirror.status = replace(mirror.status, phase=MirrorPhase.FAILED, problem=problem)
