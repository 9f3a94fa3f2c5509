"""Cut links, full disks and kill -9 in the middle: the job goes on, or says how."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dtesx.base.retry import wait_until
from dtesx.model.api import NewSnapshot
from dtesx.model.job import JobState, OperationKind, StepState
from tests.integration.road.walk import ENDED, Road, named, problem

pytestmark = pytest.mark.integration

SOME = 20_000_000
ODD_FILE = "etc/passwd"


@pytest.fixture(autouse=True)
def _clean(road: Road) -> Iterator[None]:
    yield
    road.forget()


def whole(road: Road, job: str) -> None:
    """The job is protected and what it holds is the source's."""
    assert road.client.job(job).state is JobState.PROTECTED
    assert road.replica_file(job, ODD_FILE) == road.site.source.run(["cat", f"/{ODD_FILE}"]).stdout
    mirror = road.client.job(job).mirror
    assert mirror is not None
    assert mirror.problems_total == 0


def test_a_link_cut_in_the_middle_heals(road: Road) -> None:
    road.create(named("cut"))
    road.at_step("cut", "mirror", sent_bytes=SOME)
    road.cable("source", "down")
    assert not wait_until(lambda: road.operation("cut").state in ENDED, timeout=4)
    road.cable("source", "up")
    road.ended("cut")
    whole(road, "cut")


@pytest.mark.parametrize("victim", ["worker", "source"])
def test_a_killed_peer_is_survived_in_mid_mirror(road: Road, victim: str) -> None:
    job = f"kill-{victim}"
    road.create(named(job))
    road.at_step(job, "mirror", sent_bytes=SOME)
    if victim == "worker":
        road.site.appliance.run(["kill", "-9", str(road.worker_pid(job))])
    else:
        road.site.source.stop_service("source", patience=0)
        road.site.source.start_service("source")
    road.ended(job)
    whole(road, job)


@pytest.mark.parametrize("step", ["inventory", "create-vm", "attach", "prepare", "worker", "mirror"])
def test_a_killed_management_service_resumes_protection(road: Road, step: str) -> None:
    job = f"kill-at-{step}"
    road.create(named(job))
    road.at_step(job, step, sent_bytes=SOME if step == "mirror" else 0)
    with road.killed():
        pass
    info = road.client.job(job)
    assert info.operation is not None
    if info.operation.state is not StepState.DONE:
        assert info.state is JobState.PROTECT_FAILED
        assert problem(info)[0] == "interrupted"
        assert "same command" in problem(info)[2]
        resumed = road.create(named(job))
        assert resumed.operation is not None
        assert resumed.operation.id == info.operation.id, "it goes on, it does not begin anew"
    road.ended(job)
    whole(road, job)


def test_a_killed_management_service_resumes_a_snapshot(road: Road) -> None:
    road.protect(named("kill-snap"))
    road.client.take_snapshot("kill-snap", NewSnapshot("before"))
    road.at_step("kill-snap", "pause")
    with road.killed():
        pass
    info = road.client.job("kill-snap")
    assert info.state in (JobState.SNAPSHOT_FAILED, JobState.PROTECTED)
    if info.state is JobState.SNAPSHOT_FAILED:
        road.client.take_snapshot("kill-snap", NewSnapshot("before"))
        road.ended("kill-snap")
    assert len(road.client.snapshots("kill-snap")) == 1
    road.client.mirror("kill-snap")
    assert road.ended("kill-snap").state is JobState.PROTECTED
    whole(road, "kill-snap")


def test_a_full_replica_is_told_and_waited_for(road: Road) -> None:
    road.create(named("full"))
    road.at_step("full", "mirror", sent_bytes=SOME)
    replica = str(road.directory("full") / "replica" / "0")
    ballast = f"{replica}/ballast"
    free = f"$(($(stat -f -c '%f * %S' {replica}) - 16 * 1024 * 1024))"
    road.site.appliance.run(["sh", "-c", f"fallocate -l {free} {ballast} || true"])  # what fits stays

    def told() -> bool:
        return any("no space is left" in step.detail for step in road.operation("full").steps)

    assert wait_until(told, timeout=60), "nobody says that the replica is full"
    road.site.appliance.run(["rm", ballast])
    assert road.ended("full").state is JobState.PROTECTED
    whole(road, "full")


def test_a_vcenter_that_is_away_does_not_stop_protection(road: Road) -> None:
    road.protect(named("no-vcenter"))
    road.simulator.stop()  # its state is in memory: this is the last test of the module
    road.jobs.clear()
    road.client.take_snapshot("no-vcenter", NewSnapshot())
    info = road.ended("no-vcenter")
    assert info.operation is not None
    assert (info.state, info.operation.kind) == (JobState.SNAPSHOT_FAILED, OperationKind.SNAPSHOT)
    assert problem(info)[0] == "connection"
    assert road.site.appliance.run(["kill", "-0", str(road.worker_pid("no-vcenter"))]).status == 0
