from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, NotFound, UsageError
from dtesx.base.retry import wait_until
from dtesx.management import controls, replications
from dtesx.management.desk import Desk
from dtesx.management.local_calls import NotRunning
from dtesx.model.capture import CaptureStatus, Rung
from dtesx.model.epoch import Epoch, EpochKind, InsertedTask
from dtesx.model.location import parse_target
from dtesx.model.replication import (
    Point,
    PointRequest,
    ReplicationPhase,
    ReplicationState,
    ReplicationStatus,
    TargetStatus,
)
from dtesx.model.tasks import TaskOutcome, TaskReport, TaskRequest, TaskResult
from dtesx.replication.continuous.points import Points, Ticket
from dtesx.replication.control import MirrorControl

URL = "dtesx://there:1500/www"
EPOCH = Epoch(3, EpochKind.FUZZY, 12.0)
READY = ReplicationStatus(
    ReplicationPhase.REPLICATING, EPOCH, 12.0, target=TargetStatus.OK, connected_since=1.0
)


@dataclass
class Fake:
    """A replication that makes a point when it is told to."""

    points: Points = field(default_factory=Points)
    control: MirrorControl = field(default_factory=MirrorControl)
    mirrors: int = 0

    def request_mirror(self) -> None:
        self.mirrors += 1

    def request_point(self, *, consistent: bool, task: str = "") -> Ticket:
        return self.points.ask(consistent=consistent, task=task)

    def forget_point(self, ticket: Ticket) -> bool:
        return self.points.forget(ticket)

    def send(self) -> list[InsertedTask]:
        assert wait_until(lambda: self.points.asked, timeout=10)
        self.points.gather()
        return self.points.sent(EPOCH)

    def reach(self) -> None:
        self.send()
        self.points.applied(3, 0)


@contextmanager
def desk(
    state: Path, fake: Fake, url: str = URL, told: list[ReplicationStatus] | None = None
) -> Iterator[Desk]:
    directory = replications.directory_for(state, parse_target(url))
    heard = told if told is not None else []
    with Desk(directory, "/srv", url, lambda: CaptureStatus(Rung.EVENTS, 5), heard.append) as made:
        made.note(READY)
        with made.answering(fake, controls.answers(fake.control, fake.request_mirror)):
            yield made


def point(directory: Path, wait: float = 20.0) -> Point:
    return replications.point(directory, PointRequest(wait=wait))


def test_a_point_is_answered_when_it_is_reached(tmp_path: Path) -> None:
    fake, found = Fake(), []
    with desk(tmp_path, fake):
        directory = replications.find(tmp_path, "")
        thread = threading.Thread(target=lambda: found.append(point(directory)))
        thread.start()
        fake.reach()
        thread.join(20)
    assert found == [Point(3, EpochKind.FUZZY, 12.0)]


def test_why_a_point_was_not_reached(tmp_path: Path) -> None:
    fake = Fake()
    with desk(tmp_path, fake) as made:
        directory = replications.find(tmp_path, "")
        with pytest.raises(replications.NotReached, match="on its way"):
            point(directory, wait=0.0)
        made.note(ReplicationStatus(target=TargetStatus.PAUSED))
        with pytest.raises(replications.NotReached, match="the target is paused"):
            point(directory, wait=0.0)
        made.note(ReplicationStatus(problem="no route"))
        with pytest.raises(replications.NotConnected, match="no route"):
            point(directory, wait=0.0)
        assert not fake.points.asked
    with pytest.raises(NotRunning):
        point(directory)


def test_a_task_is_answered_when_it_has_ended(tmp_path: Path) -> None:
    fake, found = Fake(), []
    with desk(tmp_path, fake):
        directory = replications.find(tmp_path, "")
        request = TaskRequest("backup", wait=20.0)
        thread = threading.Thread(target=lambda: found.append(replications.task(directory, request)))
        thread.start()
        (task,) = fake.send()
        fake.points.applied(3, 0)
        result = TaskResult(task.id, "backup", EPOCH, TaskOutcome.ENDED, 2, "full", 1.5)
        fake.points.ended(result, 7)
        thread.join(20)
    assert found == [TaskReport(result, failed=7)]


def test_whether_a_task_that_nobody_waits_for_any_more_will_run(tmp_path: Path) -> None:
    fake = Fake()
    with desk(tmp_path, fake) as made:
        directory = replications.find(tmp_path, "")
        with pytest.raises(replications.NotReached, match="not inserted"):
            replications.task(directory, TaskRequest("backup", wait=0.0))
        assert not fake.points.asked
        thread = threading.Thread(target=fake.send)
        thread.start()
        with pytest.raises(replications.NotReached, match="on its way to the target"):
            replications.task(directory, TaskRequest("backup", wait=1.0))
        thread.join(20)
        made.note(ReplicationStatus(problem="no route"))
        with pytest.raises(replications.NotConnected, match="no route"):
            replications.task(directory, TaskRequest("backup", wait=0.0))


def test_what_is_forgotten_is_that_name_alone(tmp_path: Path) -> None:
    for url in (URL, "dtesx://there:1700/www", "dtesx://there:1500/www2"):
        with desk(tmp_path, Fake(), url):
            pass
    replications.forget(tmp_path, "www")
    assert replications.find(tmp_path, "").name == "www2@there:1500"
    replications.forget(tmp_path, "never heard of")


def test_the_last_report_outlives_the_process(tmp_path: Path) -> None:
    told: list[ReplicationStatus] = []
    with desk(tmp_path, Fake(), told=told):
        directory = replications.find(tmp_path, "www")
        running = replications.status(directory)
        assert (running.running, running.target, running.capture_rung) == (True, URL, Rung.EVENTS)
    after = replications.status(directory)
    assert (after.running, after.replication_status) == (False, ReplicationState.STOPPED)
    assert after.epoch == EPOCH
    assert told[-1] == READY
    assert [sample.epoch for sample in replications.samples(directory, 0.0)] in ([0], [3])


def test_one_replication_for_each_place(tmp_path: Path) -> None:
    with desk(tmp_path, Fake()):
        with pytest.raises(Conflict), desk(tmp_path, Fake()):
            pass
        with desk(tmp_path, Fake(), "dtesx://there:1500/db"):
            pass


def test_which_one_is_meant(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no replication"):
        replications.find(tmp_path, "")
    other = "dtesx://[::1]:1700/www"
    with desk(tmp_path, Fake()):
        pass
    with desk(tmp_path, Fake(), other):
        assert replications.find(tmp_path, "").name == "www@[::1]:1700"
    with pytest.raises(UsageError, match="several"):
        replications.find(tmp_path, "www")
    assert replications.find(tmp_path, URL).name == "www@there:1500"
    with pytest.raises(NotFound) as caught:
        replications.find(tmp_path, "db")
    assert (URL in caught.value.hint, other in caught.value.hint) == (True, True)
    with pytest.raises(UsageError, match="no place"):
        replications.find(tmp_path, "dtesx:nowhere")


def test_what_commands_tell_a_replication(tmp_path: Path) -> None:
    fake = Fake()
    with desk(tmp_path, fake):
        directory = replications.find(tmp_path, "")
        controls.give(directory, controls.Order.PAUSE)
        assert fake.control.paused
        controls.give(directory, controls.Order.RESUME)
        assert not fake.control.paused
        controls.give(directory, controls.Order.MIRROR)
        assert fake.mirrors == 1
        for limit in (5_000_000, None):
            controls.limit(directory, limit)
            assert fake.control.bandwidth == limit
        with pytest.raises(Conflict, match="not ended"):
            controls.stop(directory, seconds=0.0)
        assert fake.control.stopped
    with pytest.raises(NotRunning):
        controls.stop(directory)


def test_stopping_waits_for_the_end(tmp_path: Path) -> None:
    fake, entered, ends = Fake(), threading.Event(), []

    def runs() -> None:
        with desk(tmp_path, fake):
            entered.set()
            fake.control.wait(20)
        ends.append(True)

    thread = threading.Thread(target=runs)
    thread.start()
    assert entered.wait(20)
    controls.stop(replications.find(tmp_path, ""))
    with desk(tmp_path, Fake()):
        pass
    thread.join(20)
    assert ends


def test_a_replication_of_a_job_takes_no_orders_here(tmp_path: Path) -> None:
    directory = replications.directory_for(tmp_path, parse_target(URL))
    with (
        Desk(directory, "/srv", URL, CaptureStatus, lambda _status: None) as made,
        made.answering(Fake(), controls.refusals()),
    ):
        for order in controls.Order:
            with pytest.raises(Conflict) as caught:
                controls.give(directory, order)
            assert "dtesx job" in caught.value.hint
