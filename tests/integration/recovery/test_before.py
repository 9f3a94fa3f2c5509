"""What a job has run on the appliance when a failover begins."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.model.job import JobState, Operation, OperationKind, StepState
from dtesx.model.record import JobRecord
from dtesx.model.specs import FailoverSpec
from dtesx.model.tasks import Task
from dtesx.recovery.operations import execute, new_operation
from tests.unit.recovery.world import World, record

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, source_up=True)
    made.patch(monkeypatch)
    return made


def failed_over(
    world: World, before: str, cancel: threading.Event | None = None, **tasks: Task
) -> tuple[Operation, JobRecord]:
    job = record()
    job = replace(job, spec=replace(job.spec, failover=FailoverSpec(before=before)))
    _, job = execute(new_operation(job, OperationKind.PROTECT, {}), job, world.surroundings())
    site = replace(world.surroundings(), tasks=tasks, cancel=cancel or threading.Event())
    return execute(new_operation(job, OperationKind.FAILOVER, {}), job, site)


def shell(text: str, timeout: float = 60.0) -> Task:
    return Task(("sh", "-c", text), timeout)


def test_it_runs_first_and_knows_the_job(world: World, tmp_path: Path) -> None:
    told = tmp_path / "told"
    operation, job = failed_over(
        world, "announce", announce=shell(f'echo "$DTESX_JOB $DTESX_SOURCE $DTESX_VM" > {told}; echo ok')
    )
    assert job.state is JobState.FAILED_OVER
    assert told.read_text() == "alpha alpha alpha-replica\n"
    assert operation.steps[0].detail == "task announce: exit status 0; ok"
    assert operation.result["before"] == operation.steps[0].detail


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (shell("echo no; exit 3"), "exit status 3; no"),
        (shell("sleep 100", timeout=0.2), "ended after 0 s"),
        (Task(("/nowhere/at/all",)), "/nowhere/at/all"),
    ],
)
def test_its_failure_is_told_and_stops_nothing(world: World, task: Task, words: str) -> None:
    operation, job = failed_over(world, "announce", announce=task)
    assert job.state is JobState.FAILED_OVER
    assert words in operation.result["before"]


def test_a_task_that_is_not_there_stops_nothing(world: World) -> None:
    operation, job = failed_over(world, "announce")
    assert job.state is JobState.FAILED_OVER
    assert "none of that name" in operation.result["before"]


def test_a_service_that_ends_does_not_wait_for_it(world: World) -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.5, cancel.set)
    timer.start()
    operation, job = failed_over(world, "announce", cancel, announce=shell("sleep 1000", 2000.0))
    timer.join()
    assert (operation.state, job.state) == (StepState.INTERRUPTED, JobState.FAILOVER_FAILED)
