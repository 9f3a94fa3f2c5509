from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.retry import wait_until
from dtesx.management import insertions, local_calls, replications
from dtesx.management.insertions import Insertions
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.location import TargetUrl
from dtesx.model.tasks import TaskOutcome, TaskReport, TaskRequest, TaskResult

from .fakes import REPORT


@contextmanager
def replication(state: Path, job: str, go: threading.Event) -> Iterator[None]:
    """One that runs a task when it may ``go``."""
    directory = replications.directory_for(state, TargetUrl("10.0.0.1", 1500, job))
    (directory / replications.REPORT).write_bytes(msgspec.json.encode(REPORT))

    def task(body: bytes) -> TaskReport:
        name = msgspec.json.decode(body, type=TaskRequest).name
        assert go.wait(20)
        if name == "away":
            raise replications.NotConnected("there is no connection", hint="wait")
        return TaskReport(TaskResult("t", name, Epoch(3, EpochKind.CRASH, 1.0), TaskOutcome.ENDED))

    with local_calls.answering(directory, {replications.TASK: task}):
        yield


def over(asked: Insertions, *numbers: str) -> bool:
    return wait_until(lambda: all(asked.look("job-1", number).over for number in numbers), timeout=20)


def test_what_comes_of_a_task_is_told_when_it_is_asked(tmp_path: Path) -> None:
    asked, go = Insertions(tmp_path), threading.Event()
    with replication(tmp_path, "job-1", go):
        backup, away = (asked.insert("job-1", TaskRequest(name)).id for name in ("backup", "away"))
        assert not asked.look("job-1", backup).over
        go.set()
        assert over(asked, backup, away)
    report, problem = asked.look("job-1", backup).report, asked.look("job-1", away).problem
    assert report is not None
    assert report.result.name == "backup"
    assert problem is not None
    assert (problem.code, problem.hint) == ("not-connected", "wait")
    with pytest.raises(NotFound):
        asked.look("job-2", backup)


def test_a_job_that_does_not_replicate(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Insertions(tmp_path).insert("job-1", TaskRequest("backup"))


def test_those_that_are_over_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insertions, "_MOST", 2)
    asked, go = Insertions(tmp_path), threading.Event()
    with replication(tmp_path, "job-1", go):
        first, second = (asked.insert("job-1", TaskRequest("backup")).id for _ in range(2))
        with pytest.raises(Conflict):
            asked.insert("job-1", TaskRequest("backup"))
        go.set()
        assert over(asked, first, second)
        assert over(asked, asked.insert("job-1", TaskRequest("backup")).id)
        with pytest.raises(NotFound):
            asked.look("job-1", first)
