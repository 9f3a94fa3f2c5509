"""A job tells what is wrong with its replica in vSphere, and nothing else comes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.management.records import KnownVmware
from dtesx.management.replica_watch import ReplicaWatch
from dtesx.management.store import Store
from dtesx.management.vmware import Vmware
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.vmware import ReplicaPlan, VmwareServer
from dtesx.recovery.transfer import owner_of
from dtesx.vsphere.client import VSphere, connect
from dtesx.vsphere.machines import handle
from dtesx.vsphere.tasks import run_task

from .conftest import APPLIANCE, Site
from .jobs import job
from .test_moves import SOURCE, rename

pytestmark = pytest.mark.integration


class Watched:
    """A job with a replica in a vCenter of its own."""

    def __init__(self, site: Site, directory: Path, plan: ReplicaPlan) -> None:
        self.site, self.store, self.logins = site, Store(directory), 0
        begun, _ = job("alpha", SOURCE)
        self.plan = replace(plan, name="alpha-replica", owner=owner_of(begun))
        with site.login() as vsphere:
            made = vsphere.create_replica(self.plan, beside=vsphere.find_vm(APPLIANCE).ref)
        state = JobState.PROTECTED
        self.job: JobRecord = replace(begun, replica_ref=made.ref, disks=made.disks, state=state)
        self.store.save_job(self.job)
        self.know("secret")
        self.watch = ReplicaWatch(self.store, Vmware(self.store, connect=self.connect), threading.Event())

    def know(self, password: str) -> None:
        self.store.add_vmware(KnownVmware(replace(self.site.server, name="vc"), "a", "u", password))

    @contextmanager
    def connect(self, server: VmwareServer, password: str) -> Iterator[VSphere]:
        self.logins += 1
        with connect(server, password) as vsphere:
            yield vsphere

    def told(self) -> str:
        self.watch.look("vc")
        problem = self.watch.problem(self.job)
        assert problem is None or problem.hint
        return problem.message if problem is not None else ""


@pytest.fixture
def watched(own_site: Site, tmp_path: Path, plan: ReplicaPlan) -> Iterator[Watched]:
    made = Watched(own_site, tmp_path / "state", plan)
    yield made
    made.store.close()


def test_what_is_wrong_with_a_replica_is_told_until_it_is_right_again(watched: Watched) -> None:
    assert watched.told() == ""
    with watched.site.login() as vsphere:
        rename(vsphere, watched.job.replica_ref, "another name")
        assert watched.told() == ""
        lost = watched.job.disks[1]
        vsphere.detach_disk(watched.job.replica_ref, lost)
        assert "has 1 disks; the job made 2" in watched.told()
        vsphere.attach_disk(watched.job.replica_ref, lost)
        assert watched.told() == ""
        machine: Any = handle(vsphere._session, watched.job.replica_ref)
        run_task(vsphere._session, lambda: machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="x")))
        assert "does not belong to this job" in watched.told()


def test_a_vcenter_that_is_away_is_told_and_seen_again(watched: Watched) -> None:
    watched.site.simulator.stop()
    assert "is not reachable" in watched.told()
    watched.site.simulator.start()  # with a new inventory: the replica is not in it
    assert "does not exist any more" in watched.told()


def test_a_refused_password_is_tried_once(watched: Watched) -> None:
    users = tuple(replace(user, password="other") for user in watched.site.simulator.config.users)
    watched.site.simulator.stop()
    watched.site.simulator.config = replace(watched.site.simulator.config, users=users)
    watched.site.simulator.start()
    for _ in range(3):
        assert "does not accept the password" in watched.told()
    assert watched.logins == 1


def test_a_job_that_has_failed_over_is_not_looked_at(watched: Watched) -> None:
    watched.store.save_job(replace(watched.job, state=JobState.FAILED_OVER))
    assert watched.told() == ""
    assert watched.logins == 0
