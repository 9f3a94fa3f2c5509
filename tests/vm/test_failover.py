"""Failover with the management service killed on the way: the replica still becomes the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dtesx.base.retry import wait_until
from dtesx.model.api import FailoverRequest
from dtesx.model.job import JobState, StepState
from tests.integration.road.walk import ENDED, Road, named, problem, road_in

pytestmark = pytest.mark.vm


@pytest.fixture
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with road_in(tmp_path_factory.mktemp("lab")) as road:
        yield road


def _kill_at(road: Road, step: str) -> None:
    road.at_step("alpha", step)
    with road.killed():
        pass
    if road.operation("alpha").state is not StepState.DONE:
        assert problem(road.client.job("alpha"))[0] == "interrupted"


def test_a_planned_failover_survives_kills_and_shuts_the_source_down(road: Road) -> None:
    assert road.protect(named("alpha")).state is JobState.PROTECTED
    road.site.source.run(["sh", "-c", "echo late > /srv/late"])
    for step in ("final-mirror", "boot", "address"):
        road.client.failover("alpha", FailoverRequest(final_mirror=True))
        _kill_at(road, step)
    if road.operation("alpha").state in ENDED and road.client.job("alpha").state is not JobState.FAILED_OVER:
        road.client.failover("alpha", FailoverRequest(final_mirror=True))
    info = road.ended("alpha", timeout=400)
    assert info.state is JobState.FAILED_OVER, info.operation
    assert not road.site.source.alive(), "two machines must not carry one identity"
    assert info.operation is not None
    assert info.operation.result["address"] == road.site.source.address
    replica = road.site.replica(info.spec.replica_name)
    assert wait_until(lambda: _answers(road), timeout=240, interval=3)
    assert replica.run(["cat", "/srv/late"]).stdout == b"late\n", "the final mirror carried the last change"
    assert replica.run(["hostname"]).stdout == b"alpha\n"
    failed = replica.run(["systemctl", "--failed", "--no-legend", "--plain"]).text
    assert failed == ""


def _answers(road: Road) -> bool:
    return road.site.replica("alpha-replica").run(["true"], ok=range(256)).status == 0
