"""A job goes on replicating after its mirror, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dtesx.base.errors import CommandFailed
from dtesx.base.retry import wait_until
from dtesx.model.api import JobReplication, NewSnapshot
from dtesx.model.job import JobState
from dtesx.model.replication import ReplicationSwitch
from dtesx.model.specs import ReplicationSpec
from tests.integration.road.walk import Road, named

pytestmark = pytest.mark.integration

SECONDS = 90


@pytest.fixture(scope="module")
def job(road: Road) -> Iterator[str]:
    assert road.protect(named("alpha")).state is JobState.PROTECTED
    yield "alpha"
    road.forget()


def replication(road: Road, job: str) -> JobReplication:
    found = road.client.job(job).replication
    assert found is not None
    return found


def write(road: Road, name: str) -> None:
    """Have the source write a file, which nothing but the replication brings to the replica."""
    road.site.source.run(["sh", "-c", f"echo {name} > /srv/{name}"])


def arrived(road: Road, job: str, name: str) -> bool:
    def there() -> bool:
        try:
            return road.replica_file(job, f"srv/{name}") == f"{name}\n".encode()
        except CommandFailed:
            return False

    return wait_until(there, timeout=SECONDS, interval=0.2)


def test_what_changes_after_the_mirror_arrives(road: Road, job: str) -> None:
    write(road, "after-the-mirror")
    assert arrived(road, job, "after-the-mirror")
    assert wait_until(lambda: replication(road, job).report is not None, timeout=SECONDS)
    told = replication(road, job)
    assert told.report is not None
    assert (told.switch, told.problem, told.report.running) == (ReplicationSwitch.ON, None, True)
    assert wait_until(lambda: replication(road, job).epoch is not None, timeout=SECONDS)
    report = replication(road, job).report
    assert report is not None
    assert report.recovery_point_latency is not None
    road.site.source.run(["rm", "/srv/after-the-mirror"])

    def gone() -> bool:
        return not (road.directory(job) / "replica/0/srv/after-the-mirror").exists()

    assert wait_until(gone, timeout=SECONDS)


@pytest.mark.parametrize("victim", ["worker", "source", "appliance"])
def test_it_goes_on_when_a_process_is_killed(road: Road, job: str, victim: str) -> None:
    if victim == "worker":
        road.site.appliance.run(["kill", "-9", str(road.worker_pid(job))])
        write(road, victim)
    elif victim == "source":
        road.site.source.stop_service("source", patience=0)
        write(road, victim)
        road.site.source.start_service("source")
    else:
        with road.killed():
            write(road, victim)
    assert arrived(road, job, victim)


def test_it_goes_on_after_the_appliances_service_ended_in_order(road: Road, job: str) -> None:
    road.site.appliance.stop_service("appliance", patience=60)
    write(road, "in-order")
    road.site.appliance.start_service("appliance")
    assert arrived(road, job, "in-order")


def test_it_goes_on_after_a_snapshot_and_a_mirror(road: Road, job: str) -> None:
    road.client.take_snapshot(job, NewSnapshot())
    assert road.ended(job).state is JobState.PROTECTED
    write(road, "after-the-snapshot")
    assert arrived(road, job, "after-the-snapshot")
    road.client.mirror(job)
    assert road.ended(job).state is JobState.PROTECTED
    write(road, "after-another-mirror")
    assert arrived(road, job, "after-another-mirror")


def test_it_pauses_and_stops_until_it_is_told_to_go_on(road: Road, job: str) -> None:
    road.client.pause_mirror(job)
    assert replication(road, job).switch is ReplicationSwitch.PAUSED
    with road.killed():
        write(road, "paused")
    assert wait_until(lambda: not _runs(road, job), timeout=SECONDS)
    assert not (road.directory(job) / "replica/0/srv/paused").exists()
    road.client.resume_mirror(job)
    assert arrived(road, job, "paused")
    road.client.stop_mirror(job)
    assert wait_until(lambda: not _runs(road, job), timeout=SECONDS)
    road.client.mirror(job)
    assert road.ended(job).state is JobState.PROTECTED
    write(road, "after-a-stop")
    assert arrived(road, job, "after-a-stop")


def _runs(road: Road, job: str) -> bool:
    report = replication(road, job).report
    return report is not None and report.running


def test_a_job_that_only_mirrors(road: Road) -> None:
    spec = replace(named("still"), replication=ReplicationSpec(enabled=False))
    info = road.protect(spec)
    assert (info.state, info.replication) == (JobState.PROTECTED, None)
