"""What point, status and stats print."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.cli import one_shot
from dtesx.cli.stats import rows
from dtesx.cli.status import screen
from dtesx.management import replications
from dtesx.management.desk import Desk
from dtesx.management.history import History
from dtesx.model.api import TaskInsertion
from dtesx.model.capture import CaptureStatus, Rung
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.job import Problem
from dtesx.model.location import parse_target
from dtesx.model.queue import QueueStatus
from dtesx.model.replication import (
    ReplicationPhase,
    ReplicationReport,
    ReplicationSample,
    ReplicationState,
    ReplicationStatus,
    TargetStatus,
)
from dtesx.model.stats import MirrorStats
from dtesx.model.tasks import TaskOutcome, TaskReport, TaskRequest, TaskResult
from dtesx.replication.continuous.reporting import ended, report

from .conftest import FakeApi, Run

STATUS = ReplicationStatus(
    ReplicationPhase.REPLICATING,
    Epoch(812, EpochKind.FUZZY, 1000.0),
    current=1000.0,
    stats=MirrorStats(files_sent=41022, bytes_sent=3 << 30, bytes_wire=1 << 30),
    target=TargetStatus.OK,
    connected_since=400.0,
    queue=QueueStatus(4096, 3),
    last_file="/srv/www/index.html",
)


def told(status: ReplicationStatus = STATUS) -> ReplicationReport:
    capture = CaptureStatus(Rung.RANGES, 5000, 0)
    return report(
        status,
        capture,
        source="/srv/www",
        target="dtesx://there:1500/www",
        at=1001.4,
        started=300.0,
        events_per_second=12.5,
    )


def shown(told: ReplicationReport) -> dict[str, str]:
    return {name: value for name, value in screen(told, 1001.4) if value}


def test_the_screen() -> None:
    found = shown(told())
    assert found["target"] == "dtesx://there:1500/www (connected for 10 min 01 s)"
    assert found["replication"] == "ready"
    assert found["recovery point"] == "1.4 s behind"
    assert found["queue"] == "4.0 KiB, 3 operations"
    assert found["sent"] == "41022 files, 3.0 GiB (1.0 GiB on the wire)"
    assert found["capture"] == "rung A, 12.5 events/s"
    assert not {"mirror", "disk queue", "failed paths", "overflows", "problem"} & set(found)


def test_the_screen_of_a_target_that_is_away_and_of_a_process_that_ended() -> None:
    away = shown(told(replace(STATUS, target=TargetStatus.AWAY, problem="no route", connected_since=0.0)))
    assert (away["target"], away["problem"]) == ("dtesx://there:1500/www (no connection)", "no route")
    last = shown(ended(told(), 1011.4))
    assert last["replication"].startswith("stopped since ")
    assert last["recovery point"] == "11.4 s behind"
    assert "queue" not in last


def sample(at: float, sent: int, latency: float = 1.0) -> ReplicationSample:
    counts = (0, 0, 0, 0, 0, 0, 1, sent, 2 * sent)
    return ReplicationSample(at, *counts, ReplicationState.READY, 5, latency, events=10 * sent)


def test_the_rates_are_those_between_samples_of_one_process() -> None:
    found = list(rows([sample(100.0, 5000, -1.0), sample(110.0, 5100), sample(120.0, 100)]))
    assert [row[4:7] for row in found] == [
        ("-", "-", "-"),
        ("100.0", "10 B", "20 B"),
        ("-", "-", "-"),
    ]
    assert [row[3] for row in found] == ["-", "1.0 s", "1.0 s"]
    assert list(rows([])) == []


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory, the default one, with a replication that does not run."""
    monkeypatch.setattr(one_shot, "default_state", lambda: tmp_path)
    directory = replications.directory_for(tmp_path, parse_target("dtesx://there/www"))
    with Desk(directory, "/srv/www", "dtesx://there/www", CaptureStatus, lambda _status: None) as desk:
        desk.note(STATUS)
    history = History(directory)
    history.add(sample(1.0, 10))
    history.close()
    return tmp_path


def test_the_commands_without_a_process(run: Run, state: Path) -> None:
    found = json.loads(run("status", "--json").out)
    assert (found["running"], found["epoch"]["number"]) == (False, 812)
    assert "stopped since" in run("status").out
    csv = run("stats", "--csv").out.splitlines()
    assert csv[0].startswith("at,overflows,changed_names,queue_bytes")
    assert len(json.loads(run("stats", "--json", "--since", "40000d").out)) >= 1
    done = run("point", "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (3, "not-running")
    assert run("status", "--to", "db").code == 5


@pytest.mark.parametrize(
    "words", [("stats", "--since", "soon"), ("status", "--watch", "--json"), ("point", "--wait", "1e9")]
)
def test_what_makes_no_sense(run: Run, state: Path, words: tuple[str, ...]) -> None:
    assert run(*words).code == 2


def test_a_task_of_a_job(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    result = TaskResult("t", "backup", Epoch(9, EpochKind.CRASH, 5.0), TaskOutcome.ENDED, output="done\n")
    api.insertions = [TaskInsertion("t1"), TaskInsertion("t1", TaskReport(result))]
    done = run("task", "insert", "backup", "--job", "web", "--consistent")
    assert (done.code, done.out.splitlines()[0]) == (0, "done")
    assert api.calls[0] == ("insert_task", ("web", TaskRequest("backup", consistent=True)))
    assert api.calls[1:] == [("task", ("web", "t1"))] * 2

    api.insertions = [TaskInsertion("t1", problem=Problem("not-connected", "no way there", "wait"))]
    done = run("task", "insert", "backup", "--job", "web")
    assert done.code != 0
    assert "no way there" in done.err
    assert run("task", "insert", "backup", "--job", "web", "--to", "www").code == 2


def test_the_history_of_a_job(run: Run, api: FakeApi) -> None:
    api.samples = (sample(1.0, 10), sample(2.0, 20))
    assert len(run("stats", "--job", "web", "--csv").out.splitlines()) == 3
    assert [row["at"] for row in json.loads(run("stats", "--job", "web", "--json").out)] == [1.0, 2.0]
    assert run("stats", "--job", "web", "--to", "www").code == 2
