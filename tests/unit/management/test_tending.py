from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.management.tending import Tending
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.inventory import Firmware
from dtesx.model.job import JobState, Problem
from dtesx.model.layout import Layout
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationState, ReplicationSwitch
from dtesx.model.specs import ReplicationSpec
from dtesx.model.target import WorkerPhase, WorkerStatus
from tests.unit.management.fakes import REPORT, SPEC, TASKS, FakeSite, furnished

RECORD = JobRecord(
    "id-1", SPEC, JobState.PROTECTED, time.time(), layout=Layout(Firmware.BIOS, ()), data_port=1500
)


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    store = furnished(tmp_path)
    store.save_job(RECORD)
    return FakeSite(store)


@pytest.fixture
def tending(site: FakeSite) -> Tending:
    return Tending(site.store, site.workers, site, threading.Event())


def test_worker_and_source_are_started_again_and_what_is_told_is_shown(
    site: FakeSite, tending: Tending
) -> None:
    tending.tend(RECORD)
    assert [(spec.job, spec.tasks) for spec in site.workers.started] == [("id-1", TASKS)]
    assert [request.job for request in site.source.requests] == ["id-1"]
    tending.tend(RECORD)
    assert len(site.workers.started) == 1, "a worker that lives is left alone"
    shown = tending.shown(RECORD)
    assert shown is not None
    assert (shown.report, shown.switch, shown.problem) == (REPORT, ReplicationSwitch.ON, None)


@pytest.mark.parametrize("state", set(JobState) - {JobState.PROTECTED, JobState.SNAPSHOT_FAILED})
def test_a_job_in_another_state_is_left_alone(site: FakeSite, tending: Tending, state: JobState) -> None:
    site.store.save_job(replace(RECORD, state=state))
    tending.tend(RECORD)
    assert (site.workers.started, site.source.requests) == ([], [])


def test_a_job_that_only_mirrors_is_left_alone(site: FakeSite, tending: Tending) -> None:
    still = replace(RECORD, spec=replace(SPEC, replication=ReplicationSpec(enabled=False)))
    site.store.save_job(still)
    tending.tend(still)
    assert (site.workers.started, site.source.requests, tending.shown(still)) == ([], [], None)


def test_an_operation_is_not_disturbed(site: FakeSite, tending: Tending) -> None:
    with tending.turn("id-1"):
        tending.tend(RECORD)
    assert (site.workers.started, site.source.requests) == ([], [])


def test_what_an_operation_stopped_meanwhile_stays_stopped(site: FakeSite, tending: Tending) -> None:
    start = site.source.start_replication

    def begin_operation(request):  # type: ignore[no-untyped-def]
        site.store.save_job(replace(RECORD, state=JobState.FAILING_OVER))
        return start(request)

    site.source.start_replication = begin_operation  # type: ignore[method-assign]
    tending.tend(RECORD)
    assert site.source.replicates is not None
    assert not site.source.replicates.running


def test_what_users_do_not_want_is_stopped_whenever_the_source_is_back(
    site: FakeSite, tending: Tending
) -> None:
    site.source.replicates = REPORT
    site.store.set_replication("id-1", ReplicationSwitch.STOPPED)
    tending.tend(RECORD)
    assert site.source.orders == ["stop replication id-1"]
    assert site.workers.started, "the worker stays for what comes"
    shown = tending.shown(RECORD)
    assert shown is not None
    assert shown.switch is ReplicationSwitch.STOPPED
    assert shown.report is not None
    assert not shown.report.running


def test_a_paused_one_follows_what_changes_and_sends_nothing(site: FakeSite, tending: Tending) -> None:
    site.store.set_replication("id-1", ReplicationSwitch.PAUSED)
    tending.tend(RECORD)
    site.store.set_replication("id-1", ReplicationSwitch.ON)
    tending.tend(RECORD)
    assert [request.mirror.paused for request in site.source.requests] == [True, False]
    assert site.source.orders == []


def test_a_source_that_is_away(site: FakeSite, tending: Tending) -> None:
    site.workers.report = WorkerStatus(WorkerPhase.LISTENING, 1)
    site.workers.last = Epoch(9, EpochKind.CRASH, 99.0)
    tending.tend(RECORD)
    site.source.away = True
    site.workers.report = None
    tending.tend(RECORD)
    shown = tending.shown(RECORD)
    assert shown is not None
    assert shown.problem is not None
    assert (shown.problem.code, shown.epoch) == ("connection", site.workers.last)
    assert shown.report is not None
    assert (shown.report.running, shown.report.replication_status) == (False, ReplicationState.STOPPED)
    assert len(site.workers.started) == 1, "the worker comes back without it"
    site.source.away = False
    tending.tend(RECORD)
    shown = tending.shown(RECORD)
    assert shown is not None
    assert (shown.problem, shown.report) == (None, REPORT)


def test_a_source_that_was_never_reached_has_its_problem_shown(site: FakeSite, tending: Tending) -> None:
    site.error = None
    site.source.away = True
    tending.tend(RECORD)
    shown = tending.shown(RECORD)
    assert shown is not None
    assert shown.report is None
    assert isinstance(shown.problem, Problem)
