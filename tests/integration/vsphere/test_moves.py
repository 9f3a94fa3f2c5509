"""What administrators and DRS do to VMs while a job is at work: rename them, move them, take them over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.base.errors import Conflict
from dtesx.model.job import JobState, OperationKind
from dtesx.model.layout import MIB
from dtesx.model.record import JobRecord
from dtesx.model.snapshots import SCHEDULED, SnapshotSpec
from dtesx.model.vmware import ReplicaPlan, VirtualMachine
from dtesx.vsphere import tasks
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.collector import rows_under
from dtesx.vsphere.machines import handle
from dtesx.vsphere.tasks import run_task
from tests.unit.planning.sources import fs, inventory

from .conftest import APPLIANCE, Site
from .jobs import Surrounded, job

pytestmark = pytest.mark.integration

K = OperationKind
SOURCE = inventory(fs("/", size=48 * MIB), disk_bytes=64 * MIB)


@pytest.fixture
def world(moving_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surrounded:
    made = Surrounded(tmp_path, site=moving_site)
    made.patch(monkeypatch)
    return made


def protected(world: Surrounded, name: str = "alpha") -> JobRecord:
    record, world.made_of = job(name, SOURCE)
    operation, record = world.run(K.PROTECT, record)
    assert operation.problem is None
    return record


def place(vsphere: VSphere, kind: Any, name: str) -> Any:
    root = vsphere._session.content.rootFolder
    return next(
        row.managed for row in rows_under(vsphere._session, root, kind, ("name",)) if row.name == name
    )


def do(vsphere: VSphere, ref: str, start: Any) -> None:
    """Somebody else does something to a VM."""
    managed = handle(vsphere._session, ref)
    run_task(vsphere._session, lambda: start(managed))


def relocate(vsphere: VSphere, ref: str, **where: Any) -> None:
    do(vsphere, ref, lambda machine: machine.RelocateVM_Task(vim.vm.RelocateSpec(**where)))


def rename(vsphere: VSphere, ref: str, name: str) -> None:
    do(vsphere, ref, lambda machine: machine.ReconfigVM_Task(vim.vm.ConfigSpec(name=name)))


def test_names_and_hosts_may_change(world: Surrounded, moving_site: Site) -> None:
    record = protected(world)
    surroundings = world.surroundings()
    with moving_site.login() as vsphere:
        appliance = vsphere.find_vm(APPLIANCE)
        relocate(vsphere, appliance.ref, host=place(vsphere, vim.HostSystem, "esx2.lab"))
        relocate(vsphere, record.replica_ref, host=place(vsphere, vim.HostSystem, "esx2.lab"))
        rename(vsphere, appliance.ref, "recovery (new)")
        rename(vsphere, record.replica_ref, "alpha (do not touch)")
        assert vsphere.vm_by_instance(surroundings.appliance_vm).name == "recovery (new)"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.integration.vsphere.jobs.APPLIANCE", "recovery (new)")
            for kind in (K.SNAPSHOT, K.MIRROR, K.DELETE):
                operation, record = world.run(kind, record, keep_replica="no")
                assert operation.problem is None, kind
        assert len(vsphere.vm(appliance.ref).disks) == 1
        assert vsphere.replica_of("dtesx job id-alpha", "alpha (do not touch)") is None


def test_the_replica_may_be_moved_to_another_datastore(world: Surrounded, moving_site: Site) -> None:
    record = protected(world)
    with moving_site.login() as vsphere:
        store = place(vsphere, vim.Datastore, "datastore2")
        with pytest.raises(vim.fault.FileLocked):
            relocate(vsphere, record.replica_ref, datastore=store)
        vsphere.detach_disk(vsphere.find_vm(APPLIANCE).ref, record.disks[0])
        relocate(vsphere, record.replica_ref, datastore=store)
    world.worker = False
    operation, record = world.run(K.MIRROR, record)
    assert operation.problem is None
    assert record.disks[0].path.startswith("[datastore2] ")
    assert record.disks[0].path in {disk.path for disk in world.appliance().disks}


def test_disks_that_were_moved_with_the_appliance_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving_site: Site
) -> None:
    """Also when the service dies on the way, after each of its calls in turn."""
    stores = ["datastore2", "datastore1"]
    for last in range(1, 50):
        world = Surrounded(tmp_path, site=moving_site)
        with monkeypatch.context() as patch, moving_site.login() as vsphere:
            world.patch(patch)
            record = protected(world, f"moved-{last}")
            before = record.disks[0]
            appliance = vsphere.find_vm(APPLIANCE).ref
            relocate(vsphere, appliance, datastore=place(vsphere, vim.Datastore, stores[last % 2 - 1]))
            assert not moving_site.file(before.path).exists()
            assert vsphere.vm(record.replica_ref).disks[0].path == before.path, "nobody told the replica"
            operation, record = world.run(K.MIRROR, record)
            assert operation.problem is None, "it goes on meanwhile"
            world.changes, world.last = 0, last
            operation, record = world.run(K.SNAPSHOT, record)
            assert operation.problem is None, last
            changes = world.changes
            (disk,) = vsphere.vm(record.replica_ref).disks
            assert disk.path.startswith(f"[{stores[last % 2 - 1]}] "), last
            assert disk.uuid == before.uuid
            operation, record = world.run(K.DELETE, record, keep_replica="no")
            assert operation.problem is None
            assert len(vsphere.vm(appliance).disks) == 1
        if changes < last:
            assert last > 4
            return


def test_a_vm_that_lost_the_mark_of_its_job_is_left_alone(world: Surrounded, moving_site: Site) -> None:
    """As when another vCenter gives the id of a replica to somebody's VM."""
    record = protected(world)
    with moving_site.login() as vsphere:
        change = vim.vm.ConfigSpec(annotation="Payroll. Ask Eve.")
        do(vsphere, record.replica_ref, lambda machine: machine.ReconfigVM_Task(change))
        before = vsphere.vm(record.replica_ref)
        for kind in (K.SNAPSHOT, K.FAILOVER, K.MIRROR, K.DELETE):
            operation, _ = world.run(kind, record, keep_replica="no")
            assert operation.problem is not None, kind
            assert "does not belong to this job" in operation.problem.message
        assert vsphere.vm(record.replica_ref) == before
        assert vsphere.snapshots(record.replica_ref) == ()
        operation, _ = world.run(K.DELETE, record, keep_replica="yes")
        assert operation.problem is None
        assert len(world.appliance().disks) == 1


def test_a_vm_of_the_same_name_is_left_alone(world: Surrounded, moving_site: Site, plan: ReplicaPlan) -> None:
    with moving_site.login() as vsphere:
        other = ReplicaPlan(**{**vars(plan), "name": "alpha-replica"})
        stranger: VirtualMachine = vsphere.create_replica(other, beside=vsphere.find_vm(APPLIANCE).ref)
        record, world.made_of = job("alpha", SOURCE)
        operation, record = world.run(K.PROTECT, record)
        assert operation.problem is not None
        assert "does not belong to this job" in operation.problem.message
        assert record.state is JobState.PROTECT_FAILED
        operation, _ = world.run(K.DELETE, record, keep_replica="no")
        assert operation.problem is None
        assert vsphere.vm(stranger.ref) == stranger


def test_another_task_on_the_vm_is_waited_for(
    site: Site, vsphere: VSphere, replica: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(tasks, "_sleep", pauses.append)
    site.simulator.fail("PowerOnVM_Task", fault="TaskInProgress", message="Another task.", count=3)
    vsphere.power_on(replica.ref)
    assert vsphere.vm(replica.ref).powered_on
    assert len(pauses) == 3
    site.simulator.fail("PowerOffVM_Task", fault="TaskInProgress", message="Another task.", count=99)
    try:
        with pytest.raises(Conflict, match="another task is at work"):
            vsphere.power_off(replica.ref)
    finally:
        site.simulator.fail("PowerOffVM_Task", fault="TaskInProgress", message="", count=0)
    assert len(pauses) > 6


def test_the_oldest_recovery_points_make_room(world: Surrounded, moving_site: Site) -> None:
    record = protected(world)
    record = replace(record, spec=replace(record.spec, snapshots=SnapshotSpec(every="1h", keep=2)))
    file = moving_site.file(record.disks[0].path)
    names = []
    for number in range(4):
        with file.open("r+b") as disk:
            disk.seek(number * MIB)
            disk.write(b"%d" % number)
        taken = SCHEDULED if number != 1 else "by hand"
        operation, record = world.run(K.SNAPSHOT, record, description=taken)
        assert operation.problem is None
        names.append(operation.result["snapshot"])
        file = moving_site.file(record.disks[0].path)
    with moving_site.login() as vsphere:
        left = [snapshot.name for snapshot in vsphere.snapshots(record.replica_ref)]
        assert vsphere.vm(record.replica_ref).disks[0].path == record.disks[0].path
    assert left == names[1:], "people's own stay, and do not count"
    assert [file.read_bytes()[n * MIB : n * MIB + 1] for n in range(4)] == [b"0", b"1", b"2", b"3"]
    assert len(world.appliance().disks) == 2, "it goes on"
