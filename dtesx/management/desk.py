"""What a replication keeps in its directory while it runs, and what it answers to commands there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import Conflict
from dtesx.base.files import replace_volatile
from dtesx.base.locks import exclusive
from dtesx.base.log import get_logger
from dtesx.management import local_calls, replications
from dtesx.management.controls import LOCK
from dtesx.management.history import INTERVAL, History
from dtesx.model.capture import CaptureStatus
from dtesx.model.replication import (
    Point,
    PointRequest,
    ReplicationPhase,
    ReplicationReport,
    ReplicationStatus,
    TargetStatus,
)
from dtesx.model.tasks import TaskReport, TaskRequest
from dtesx.replication.continuous.points import Ticket
from dtesx.replication.continuous.reporting import Pace, report, sample

log = get_logger(__name__)

_TICK = 1.0


class Replicates(Protocol):
    """What a desk asks of its replication (replication.continuous.replicating)."""

    def request_point(self, *, consistent: bool, task: str = "") -> Ticket: ...

    def forget_point(self, ticket: Ticket) -> bool: ...


class Desk:
    """The desk of the replication from ``source`` to ``target``, in ``directory``, which it has alone.

    ``capture`` tells how changes are found; ``told`` gets the status at every change and once a
    second. Both it and the files have a thread of their own, so that no slow disk and no frozen file
    system keeps the replication waiting. To be entered; raises Conflict when another one is there.
    """

    def __init__(
        self,
        directory: Path,
        source: str,
        target: str,
        capture: Callable[[], CaptureStatus],
        told: Callable[[ReplicationStatus], None],
    ) -> None:
        self._directory = directory
        self._source, self._target = source, target
        self._capture, self._told = capture, told
        self._started = time.time()
        self._status = ReplicationStatus()
        self._pace = Pace()
        self._history: History | None = None
        self._sampled = 0.0
        self._news = threading.Event()
        self._ended = False
        self._stack = ExitStack()

    def __enter__(self) -> Desk:
        taken = Conflict(
            f"another dtesx replicates to {self._target}",
            hint="look at it with: dtesx status; stop that one first",
        )
        with ExitStack() as stack:
            stack.enter_context(exclusive(self._directory / LOCK, taken))
            try:
                self._history = History(self._directory)
                stack.callback(self._history.close)
            except OSError as error:
                log.warning("there will be no history of this replication", reason=error.strerror)
            self._look()  # whoever looks for it from now on finds it
            thread = threading.Thread(target=self._keep, name="dtesx-desk", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def note(self, status: ReplicationStatus) -> None:
        """Where the replication stands now. Returns at once."""
        before, self._status = self._status, status
        if _gist(before) != _gist(status):
            self._news.set()

    @contextmanager
    def answering(self, replication: Replicates, orders: Mapping[str, local_calls.Answer]) -> Iterator[None]:
        """Answer what commands ask of ``replication``, and the ``orders`` that they give (controls)."""

        def point(body: bytes) -> Point:
            return self._point(replication, msgspec.json.decode(body, type=described(PointRequest)))

        def task(body: bytes) -> TaskReport:
            return self._task(replication, msgspec.json.decode(body, type=described(TaskRequest)))

        calls: dict[str, local_calls.Answer] = {
            replications.STATUS: lambda _body: self.report(),
            replications.POINT: point,
            replications.TASK: task,
            **orders,
        }
        with local_calls.answering(self._directory, calls):
            yield

    def _point(self, replication: Replicates, request: PointRequest) -> Point:
        ticket = replication.request_point(consistent=request.consistent)
        if not ticket.reached.wait(request.wait):
            replication.forget_point(ticket)
        if ticket.point is not None:
            return ticket.point
        self._unless_away("then try again")
        raise replications.NotReached(
            f"no recovery point within {request.wait:g} seconds: {_delay(self._status)}",
            hint="wait longer: --wait SECONDS; dtesx status shows how far it is",
        )

    def _task(self, replication: Replicates, request: TaskRequest) -> TaskReport:
        ticket = replication.request_point(consistent=request.consistent, task=request.name)
        sent = not ticket.reached.wait(request.wait) and replication.forget_point(ticket)
        if ticket.result is not None and ticket.point is not None:
            return TaskReport(ticket.result, ticket.point.failed)
        if sent:
            raise replications.NotReached(
                f"no end of the task within {request.wait:g} seconds; it is on its way to the target",
                hint="do not insert it again: it runs, or ran, when its epoch is applied",
            )
        self._unless_away("then insert the task again")
        raise replications.NotReached(
            f"the task was not inserted within {request.wait:g} seconds: {_delay(self._status)}",
            hint="wait longer: --wait SECONDS; it will not run",
        )

    def _unless_away(self, then: str) -> None:
        if self._status.target is TargetStatus.AWAY:
            raise replications.NotConnected(
                f"there is no connection to {self._target}: {self._status.problem or 'it is being made'}",
                hint=f"the replication goes on by itself when the target is there; {then}",
            )

    def report(self) -> ReplicationReport:
        """What the replication tells now; from any thread."""
        return report(
            self._status,
            self._capture(),
            source=self._source,
            target=self._target,
            at=time.time(),
            started=self._started,
            events_per_second=self._pace.rate,
        )

    def _keep(self) -> None:
        while not self._ended:
            self._news.wait(_TICK)
            self._news.clear()
            self._look()
        self._look()

    def _look(self) -> None:
        capture = self._capture()
        self._pace.note(time.monotonic(), capture.events)
        now = self.report()
        try:
            replace_volatile(self._directory / replications.REPORT, msgspec.json.encode(now))
            if self._history is not None and time.monotonic() >= self._sampled + INTERVAL:
                self._sampled = time.monotonic()
                self._history.add(sample(now, capture.events))
            self._told(self._status)
        except OSError as error:  # it must not end a replication
            log.warning("what the replication tells cannot be kept", reason=error.strerror)

    def _end(self) -> None:
        self._ended = True
        self._news.set()


def _gist(status: ReplicationStatus) -> tuple[object, ...]:
    number = status.epoch.number if status.epoch is not None else 0
    return status.phase, status.problem, status.target, number


def _delay(status: ReplicationStatus) -> str:
    if status.target is TargetStatus.PAUSED:
        return "the target is paused"
    if status.target is TargetStatus.FULL:
        return "no space is left on the target"
    if status.phase is ReplicationPhase.MIRRORING:
        return "a mirror is under way"
    if status.phase is ReplicationPhase.PAUSED:
        return "the replication is paused"
    if status.phase is ReplicationPhase.SCHEDULED:
        return "the transmission file lets nothing travel now"
    if status.phase is ReplicationPhase.UNMIRRORED:
        return "more changed than the queue could tell apart; mirror with: dtesx replication mirror"
    return "an epoch is still on its way"
