from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError
from dtesx.management.snapshot_timer import SnapshotTimer
from dtesx.management.store import Store
from dtesx.model.api import NewSnapshot
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.snapshots import SCHEDULED, SnapshotSpec

from .fakes import SPEC, furnished

HOUR = 3600.0


@dataclass
class Rig:
    """A timer at a time of its own; what it starts ends at once, well or with ``error``."""

    store: Store
    now: float = 100 * HOUR
    error: DtesxError | None = None
    taken: list[float] = field(default_factory=list)

    def take_snapshot(self, name: str, request: NewSnapshot) -> None:
        assert request.description == SCHEDULED
        if isinstance(self.error, Conflict):
            raise self.error
        self.taken.append(self.now)
        if self.error is not None:
            raise self.error
        self.store.save_job(replace(self.store.job(name), snapshot_at=self.now))

    def after(self, hours: float) -> int:
        self.now += hours * HOUR
        before = len(self.taken)
        self.timer.look()
        return len(self.taken) - before

    def __post_init__(self) -> None:
        self.timer = SnapshotTimer(self.store, cast(Any, self), threading.Event(), clock=lambda: self.now)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    store = furnished(tmp_path)
    spec = replace(SPEC, snapshots=SnapshotSpec(every="1h"))
    store.save_job(JobRecord("j1", spec, JobState.PROTECTED, 0.0))
    yield Rig(store)
    store.close()


def test_one_each_hour(rig: Rig) -> None:
    assert [rig.after(hours) for hours in (0, 0.5, 0.5, 0.1, 3)] == [1, 0, 1, 0, 1]


def test_only_jobs_that_are_at_work(rig: Rig) -> None:
    for state in set(JobState) - {JobState.PROTECTED, JobState.SNAPSHOT_FAILED}:
        rig.store.save_job(replace(rig.store.job("alpha"), state=state))
        assert rig.after(2) == 0
    rig.store.save_job(replace(rig.store.job("alpha"), state=JobState.SNAPSHOT_FAILED))
    assert rig.after(0) == 1


def test_only_jobs_that_ask_for_it(rig: Rig) -> None:
    rig.store.save_job(JobRecord("j1", SPEC, JobState.PROTECTED, 0.0))
    assert rig.after(100) == 0


def test_a_busy_job_is_waited_for(rig: Rig) -> None:
    rig.error = Conflict("job alpha is busy: mirror", hint="wait")
    assert rig.after(0) == 0
    rig.error = None
    assert rig.after(0.01) == 1


def test_one_that_failed_is_not_tried_again_at_once(rig: Rig) -> None:
    rig.error = ConnectionFailed("vCenter is away", hint="wait")
    assert [rig.after(minutes / 60) for minutes in (0, 5, 4, 2)] == [1, 0, 0, 1]
