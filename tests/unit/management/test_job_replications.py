from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from dtesx.base.errors import NotFound, RootEmpty
from dtesx.base.retry import wait_until
from dtesx.management.job_replications import AGAIN_SECONDS, JobReplications, Told
from dtesx.model.replication import ReplicationState
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.specs import ReplicationSpec
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import Identity
from tests.unit.management.fakes import REPORT

REQUEST = ReplicationRequest(MirrorRequest("job-1", "127.0.0.1", 1500, "PEM", ("/",)))


@dataclass
class Engine:
    """A replication that goes on until it is stopped, or fails."""

    error: Exception | None = None
    fail: threading.Event = field(default_factory=threading.Event)
    runs: int = 0
    at_once: int = 0
    most_at_once: int = 0
    forgotten: list[str] = field(default_factory=list)
    control: MirrorControl = field(default_factory=MirrorControl)

    def __call__(
        self,
        request: ReplicationRequest,
        identity: Identity,
        *,
        tell: Callable[[Told], None],
        control: MirrorControl,
        stop: threading.Event,
    ) -> None:
        self.runs += 1
        self.control = control
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            tell(lambda: replace(REPORT, at=time.time()))
            while not stop.wait(0.005):
                if self.error is not None and self.fail.is_set():
                    raise self.error
        finally:
            self.at_once -= 1


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replications(engine: Engine, clock: Clock) -> Iterator[JobReplications]:
    made = JobReplications(Identity("PEM", "KEY"), engine, engine.forgotten.append, clock)
    yield made
    made.close()
    assert engine.at_once == 0


def test_one_runs_until_it_is_stopped_and_tells_where_it_stands(
    replications: JobReplications, engine: Engine
) -> None:
    assert replications.start(REQUEST).report.running
    assert wait_until(lambda: replications.status("job-1").report.epoch == REPORT.epoch, timeout=5)
    replications.stop("job-1")
    told = replications.status("job-1").report
    assert (told.running, told.replication_status) == (False, ReplicationState.STOPPED)
    assert (engine.at_once, told.epoch) == (0, REPORT.epoch)
    replications.stop("job-1")
    replications.stop("never heard of")


def test_the_same_request_finds_it_running_and_another_takes_its_place(
    replications: JobReplications, engine: Engine
) -> None:
    replications.start(REQUEST)
    replications.start(REQUEST)
    assert engine.runs == 1
    replications.start(replace(REQUEST, replication=ReplicationSpec(epoch=5)))
    assert wait_until(lambda: engine.runs == 2, timeout=5)
    assert engine.most_at_once == 1


def test_a_request_steers_the_one_that_runs(replications: JobReplications, engine: Engine) -> None:
    replications.start(replace(REQUEST, mirror=replace(REQUEST.mirror, paused=True, bandwidth=9000)))
    assert wait_until(lambda: engine.runs == 1, timeout=5)
    assert (engine.control.paused, engine.control.bandwidth) == (True, 9000)
    replications.start(REQUEST)
    assert (engine.control.paused, engine.control.bandwidth) == (False, None)
    replications.start(replace(REQUEST, mirror=replace(REQUEST.mirror, paused=True)))
    assert (engine.control.paused, engine.runs) == (True, 1)


def test_a_stopped_one_is_started_by_the_same_request(replications: JobReplications, engine: Engine) -> None:
    replications.start(REQUEST)
    replications.stop("job-1")
    assert replications.start(REQUEST).report.running
    assert wait_until(lambda: engine.runs == 2, timeout=5)


@pytest.mark.parametrize(
    ("error", "code"), [(RootEmpty("/ is empty", hint="look"), "root-empty"), (KeyError("x"), "defect")]
)
def test_one_that_failed_says_why_and_is_tried_again_later(
    replications: JobReplications, engine: Engine, clock: Clock, error: Exception, code: str
) -> None:
    engine.error = error
    engine.fail.set()
    replications.start(REQUEST)
    assert wait_until(lambda: replications.status("job-1").problem is not None, timeout=5)
    problem = replications.start(REQUEST).problem
    assert problem is not None
    assert (problem.code, bool(problem.hint), engine.runs) == (code, True, 1)
    assert wait_until(lambda: not replications.status("job-1").report.running, timeout=5)
    clock.now += AGAIN_SECONDS
    engine.fail.clear()
    assert replications.start(REQUEST).problem is None
    assert wait_until(lambda: engine.runs == 2, timeout=5)


def test_what_is_forgotten_has_ended(replications: JobReplications, engine: Engine) -> None:
    replications.start(REQUEST)
    replications.forget("job-1")
    assert (engine.at_once, engine.forgotten) == (0, ["job-1"])
    with pytest.raises(NotFound):
        replications.status("job-1")
    replications.forget("never heard of")


def test_there_is_none(replications: JobReplications) -> None:
    with pytest.raises(NotFound):
        replications.status("job-1")
