"""Errors as users meet them: each has a code, a sentence, and a hint; and there is a way on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dtesx.base.errors import Conflict, ConnectionFailed, NotFound, Refused, UntrustedCertificate
from dtesx.base.retry import wait_until
from dtesx.model.api import NewSnapshot
from dtesx.model.job import JobState
from tests.integration.road.walk import Road, named, problem, refused

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _clean(road: Road) -> Iterator[None]:
    yield
    road.forget()


def test_vcenter_trouble_is_told_when_it_is_added(road: Road) -> None:
    known = replace(road.vmware(), name="other")
    error = refused(lambda: road.client.add_vmware(replace(known, thumbprint="")))
    assert isinstance(error, UntrustedCertificate)
    assert error.thumbprint == known.thumbprint
    error = refused(lambda: road.client.add_vmware(replace(known, password="wrong")))
    assert isinstance(error, Refused)
    assert "password" in error.message + error.hint
    error = refused(lambda: road.client.add_vmware(replace(known, port=9)))
    assert isinstance(error, ConnectionFailed)


def test_a_source_that_is_away_is_told(road: Road) -> None:
    road.site.source.stop_service("source", patience=0)
    try:
        info = road.protect(named("away"))
        assert info.state is JobState.PROTECT_FAILED
        assert problem(info)[0] == "connection"
        assert isinstance(refused(lambda: road.client.inventory("alpha")), ConnectionFailed)
    finally:
        road.site.source.start_service("source")
    assert road.protect(named("away")).state is JobState.PROTECTED


def test_a_full_datastore_is_told_and_the_job_goes_on_when_there_is_space(road: Road) -> None:
    road.simulator.limit_datastore("datastore1", 4096)
    try:
        info = road.protect(named("full"))
    finally:
        road.simulator.limit_datastore("datastore1", None)
    assert info.state is JobState.PROTECT_FAILED
    code, message, _ = problem(info)
    assert code == "target-full"
    assert "datastore1" in message
    assert road.protect(named("full")).state is JobState.PROTECTED


@pytest.mark.parametrize(
    ("name", "change", "missing"),
    [
        ("no-store", {"datastore": "nowhere"}, "nowhere"),
        ("no-pool", {"resource_pool": "nopool"}, "nopool"),
    ],
)
def test_a_name_that_vcenter_does_not_know(
    road: Road, name: str, change: dict[str, str], missing: str
) -> None:
    info = road.protect(named(name, **change))
    code, message, hint = problem(info)
    assert (info.state, code) == (JobState.PROTECT_FAILED, "not-found")
    assert missing in message + hint


def test_an_unknown_network_is_told(road: Road) -> None:
    spec = named("no-net")
    spec = replace(spec, replica=replace(spec.replica, networks={"*": "Nonet"}))
    code, message, _ = problem(road.protect(spec))
    assert code == "not-found"
    assert "Nonet" in message
    assert "VM Network" in message, "it says what there is"


def test_an_unknown_interface_is_told(road: Road) -> None:
    spec = named("no-nic")
    spec = replace(spec, replica=replace(spec.replica, networks={"eth7": "VM Network"}))
    code, message, hint = problem(road.protect(spec))
    assert (code, "eth7" in message, "eth0" in hint) == ("usage", True, True)


def test_a_taken_name_is_told_and_the_other_machine_left_alone(road: Road) -> None:
    assert road.protect(named("first", name="same-vm")).state is JobState.PROTECTED
    info = road.protect(named("second", name="same-vm"))
    code, message, _ = problem(info)
    assert (code, "same-vm" in message) == ("conflict", True)
    operation = road.client.delete_job("second", keep_replica=False)
    assert operation.problem is None
    assert wait_until(lambda: road._gone("second"), timeout=30)
    road.jobs.discard("second")
    assert road.client.job("first").state is JobState.PROTECTED
    road.client.mirror("first")
    assert road.ended("first").state is JobState.PROTECTED


def test_another_job_of_the_same_name_is_refused(road: Road) -> None:
    road.protect(named("once"))
    error = refused(lambda: road.client.create_job(named("once", datastore="other")))
    assert isinstance(error, Conflict)
    assert isinstance(refused(lambda: road.client.job("never")), NotFound)


def test_a_snapshot_while_vcenter_refuses_leaves_the_job_at_work(road: Road) -> None:
    road.protect(named("snap"))
    road.simulator.fail("CreateSnapshot_Task", fault="SnapshotFault", message="the host is busy")
    road.client.take_snapshot("snap", NewSnapshot())
    info = road.ended("snap")
    assert info.state is JobState.SNAPSHOT_FAILED
    assert "the host is busy" in problem(info)[1]
    assert (road.directory("snap") / "replica").exists()
    road.client.take_snapshot("snap", NewSnapshot())
    assert road.ended("snap").state is JobState.PROTECTED
    assert len(road.client.snapshots("snap")) == 1
    road.client.mirror("snap")
    assert road.ended("snap").state is JobState.PROTECTED


def test_expired_sessions_are_renewed(road: Road) -> None:
    road.protect(named("session"))
    road.simulator.expire_sessions()
    road.client.mirror("session")
    assert road.ended("session").state is JobState.PROTECTED
