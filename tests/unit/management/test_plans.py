"""Plans of jobs that are to be, and of jobs that are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed, NotFound
from dtesx.management.plans import Plans
from dtesx.management.store import Store
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.planning.disks import plan_layout
from dtesx.planning.workload import select
from dtesx.recovery.ports import Surroundings
from tests.unit.recovery.world import INVENTORY, World, record

from .fakes import furnished


class Site:
    """The world as the site of every job."""

    def __init__(self, world: World) -> None:
        self.world = world

    @contextmanager
    def __call__(self, record: JobRecord, cancel: threading.Event) -> Iterator[Surroundings]:
        yield self.world.surroundings()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = furnished(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def plans(store: Store, world: World) -> Plans:
    return Plans(store, Site(world), threading.Event())


def test_a_plan_changes_nothing(plans: Plans, world: World, store: Store) -> None:
    plan = plans.make(record().spec)
    assert plan.layout.disks[0].holds == "sda"
    assert plan.obstacles == ()
    assert (world.replica, world.attached, store.jobs()) == (None, set(), ())


def test_a_plan_needs_its_source(plans: Plans, world: World) -> None:
    world.source_up = False
    with pytest.raises(ConnectionFailed):
        plans.make(record().spec)


def test_a_job_that_was_not_made_yet_is_planned_anew(plans: Plans, store: Store) -> None:
    store.save_job(record())
    assert plans.of("alpha").datastores
    with pytest.raises(NotFound):
        plans.of("beta")


def test_of_a_job_with_a_replica_that_one_is_shown(plans: Plans, world: World, store: Store) -> None:
    """Its source may be away, and its disks are there: they need no more space."""
    made = record(JobState.PROTECTED)
    workload = select(INVENTORY, made.spec.workload)
    larger = replace(made.spec.replica, datastore="elsewhere")
    kept = plan_layout(INVENTORY, workload, larger)
    store.save_job(replace(made, inventory=INVENTORY, layout=kept, replica_ref="vm-7"))
    world.source_up = False
    plan = plans.of("alpha")
    assert plan.layout == kept
    assert (plan.datastores, plan.obstacles) == ((), ())
