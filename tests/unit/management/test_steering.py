from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, NotFound
from dtesx.management.steering import Steering
from dtesx.model.inventory import Firmware
from dtesx.model.job import JobState
from dtesx.model.layout import Layout
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch
from dtesx.model.request import MirrorPhase
from tests.unit.management.fakes import REPORT, SPEC, FakeSite, furnished


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    store = furnished(tmp_path)
    store.save_job(JobRecord("id-1", SPEC, JobState.MIRRORING, time.time()))
    return FakeSite(store)


@pytest.fixture
def steering(site: FakeSite) -> Steering:
    return Steering(site.store, site.workers, site, threading.Event())


@pytest.mark.parametrize("phase", [MirrorPhase.RUNNING, MirrorPhase.PAUSED, MirrorPhase.TARGET_FULL])
def test_orders_reach_the_source_by_the_jobs_id(
    site: FakeSite, steering: Steering, phase: MirrorPhase
) -> None:
    site.source.phase = phase
    steering.pause("alpha")
    steering.resume("alpha")
    steering.stop("alpha")
    assert site.source.orders == ["pause id-1", "resume id-1", "stop id-1"]


@pytest.mark.parametrize("phase", [None, MirrorPhase.DONE, MirrorPhase.FAILED, MirrorPhase.STOPPED])
def test_a_mirror_that_is_not_under_way(
    site: FakeSite, steering: Steering, phase: MirrorPhase | None
) -> None:
    site.source.phase = phase
    for order in (steering.pause, steering.resume, steering.stop):
        with pytest.raises(Conflict, match="neither mirrors nor replicates") as caught:
            order("alpha")
        assert "dtesx job mirror alpha" in caught.value.hint
    assert site.source.orders == []


def test_without_a_mirror_orders_are_for_the_replication(site: FakeSite, steering: Steering) -> None:
    site.store.save_job(replace(site.store.job("alpha"), state=JobState.PROTECTED))
    site.source.phase, site.source.replicates = MirrorPhase.DONE, REPORT
    steering.stop("alpha")
    assert site.store.replication("id-1") is ReplicationSwitch.STOPPED
    assert not site.source.replicates.running
    site.store.save_job(replace(site.store.job("alpha"), data_port=1500, layout=Layout(Firmware.BIOS, ())))
    for order, switch in (
        (steering.pause, ReplicationSwitch.PAUSED),
        (steering.resume, ReplicationSwitch.ON),
    ):
        order("alpha")
        assert site.store.replication("id-1") is switch
        assert site.source.requests[-1].mirror.paused is (switch is ReplicationSwitch.PAUSED)
        assert site.source.replicates.running


def test_the_target_pauses_without_its_source(site: FakeSite, steering: Steering) -> None:
    site.error = AssertionError("the source is not needed")
    assert steering.pause_target("alpha").all
    assert site.workers.halted
    assert not steering.resume_target("alpha").all
    assert not site.workers.halted


def test_a_limit_is_kept_for_mirrors_to_come(site: FakeSite, steering: Steering) -> None:
    site.error = AssertionError("the source is not needed")
    steering.limit("alpha", 9_000)
    assert site.store.bandwidth("id-1") == 9_000
    site.store.save_job(replace(site.store.job("alpha"), state=JobState.PROTECTED))
    assert site.store.bandwidth("id-1") == 9_000
    steering.limit("alpha", None)
    assert site.store.bandwidth("id-1") is None


def test_there_is_no_such_job(steering: Steering) -> None:
    for order in (steering.pause, steering.pause_target):
        with pytest.raises(NotFound, match="nobody"):
            order("nobody")
