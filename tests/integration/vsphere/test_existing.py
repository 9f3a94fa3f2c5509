"""Virtual disks that are there already become a replica's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.base.errors import NotFound
from dtesx.model.job import JobState, OperationKind
from dtesx.model.layout import MIB
from dtesx.model.record import JobRecord
from dtesx.model.replica import DiskSpec, DiskStrategy, StorageSpec
from dtesx.model.vmware import ReplicaPlan, VirtualMachine
from dtesx.recovery import protect
from dtesx.recovery.transfer import owner_of
from dtesx.volumes import prepare
from dtesx.volumes.formats import probe
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.tasks import run_task
from tests.unit.planning.sources import fs, inventory

from .conftest import APPLIANCE, STORE, Site
from .jobs import Surrounded, job

pytestmark = pytest.mark.integration

K = OperationKind
ROOT_UUID = "6b2d7c5e-0f0a-4f51-9d7e-3a8b6f0c1d2e"
ROOT = replace(fs("/", size=48 * MIB), uuid=ROOT_UUID, used_bytes=MIB)
SOURCE = inventory(ROOT, disk_bytes=64 * MIB)
TWO = inventory(ROOT, fs("/srv", "sdb", size=32 * MIB), disk_bytes=64 * MIB)
PER_VOLUME = DiskStrategy.PER_VOLUME
_numbers = count(1)


@pytest.fixture
def world(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surrounded:
    made = Surrounded(tmp_path, site=site)
    made.patch(monkeypatch)
    return made


@pytest.fixture
def name(vsphere: VSphere) -> Iterator[str]:
    """Of a job; afterwards nothing of it is in vSphere."""
    chosen = f"staged-{next(_numbers)}"
    yield chosen
    appliance = vsphere.find_vm(APPLIANCE)
    for disk in appliance.disks[1:]:
        vsphere.detach_disk(appliance.ref, disk)
    for left in (f"{chosen}-replica", f"{chosen}-old"):
        try:
            found = vsphere.find_vm(left)
        except NotFound:
            continue
        owner = found.annotation.rpartition("dtesx-owner: ")[2].strip()
        vsphere.destroy_vm(found.ref, owner=owner)


def managers(vsphere: VSphere) -> tuple[Any, Any, Any]:
    session = vsphere._session
    datacenter = session.content.rootFolder.childEntity[0]
    return session, session.content.virtualDiskManager, datacenter


def store(vsphere: VSphere, path: str, size: int = 64 * MIB) -> str:
    """Put a blank virtual disk on a datastore."""
    session, manager, datacenter = managers(vsphere)
    session.content.fileManager.MakeDirectory(path.rpartition("/")[0], datacenter, True)
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType="thin", adapterType="lsiLogic", capacityKb=size // 1024
    )
    run_task(session, lambda: manager.CreateVirtualDisk_Task(path, datacenter, spec))
    return path


def made_of(world: Surrounded, name: str, storage: StorageSpec, source: Any = SOURCE) -> JobRecord:
    record, world.made_of = job(name, source, storage=storage)
    return record


def staged(name: str, vsphere: VSphere, size: int = 64 * MIB) -> StorageSpec:
    path = store(vsphere, f"[{STORE}] {name}-stage/old.vmdk", size)
    return StorageSpec(disks={"sda": DiskSpec(existing=path)})


def test_a_blank_disk_is_moved_to_the_replica_and_used(
    world: Surrounded, vsphere: VSphere, site: Site, name: str
) -> None:
    storage = staged(name, vsphere)
    old = site.file(storage.existing[0])
    inode = old.stat().st_ino
    operation, record = world.run(K.PROTECT, made_of(world, name, storage))
    assert (operation.problem, record.state) == (None, JobState.PROTECTED)
    (disk,) = record.disks
    assert disk.path == f"[{STORE}] {name}-replica/existing-0.vmdk"
    assert site.file(disk.path).stat().st_ino == inode, "it was moved, not copied"
    assert not old.exists()
    assert (disk.bus, disk.unit, disk.size_bytes) == (0, 0, 64 * MIB)
    assert disk.uuid in {held.uuid for held in world.appliance().disks}
    assert record.lent == ()


def test_the_progress_of_a_move_is_told(
    vsphere: VSphere, name: str, plan: ReplicaPlan, appliance: VirtualMachine
) -> None:
    path = store(vsphere, f"[{STORE}] {name}-stage/old.vmdk")
    wanted = replace(plan, name=f"{name}-replica", disks=(replace(plan.disks[0], existing=path),))
    seen: list[int] = []
    vsphere.create_replica(wanted, beside=appliance.ref, on_progress=seen.append)
    assert 50 in seen


def test_a_former_replica_is_used_again(
    world: Surrounded, vsphere: VSphere, site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mirror near, delete the job but not the replica, take its disk elsewhere, go on by difference."""
    monkeypatch.setattr(protect, "prepare_disks", prepare.prepare_disks)
    near = made_of(world, f"{name}-near", StorageSpec())
    near = replace(near, spec=replace(near.spec, replica=replace(near.spec.replica, name=f"{name}-old")))
    operation, near = world.run(K.PROTECT, near)
    assert operation.problem is None
    path = near.disks[0].path
    world.run(K.DELETE, near, keep_replica="yes")
    far = made_of(world, name, StorageSpec(disks={"sda": DiskSpec(existing=path)}))
    operation, refused = world.run(K.PROTECT, far)
    assert operation.problem is not None
    assert operation.problem.message == f"the existing disk {path} belongs to the VM {name}-old"
    assert (refused.state, refused.replica_ref) == (JobState.PROTECT_FAILED, "")

    vsphere.detach_disk(near.replica_ref, near.disks[0])
    before = probe(site.file(path))
    blocks = site.file(path).read_bytes()
    operation, record = world.run(K.PROTECT, refused)
    assert (operation.problem, record.state) == (None, JobState.PROTECTED)
    assert probe(site.file(record.disks[0].path)) == before
    assert site.file(record.disks[0].path).read_bytes() == blocks, "nothing was made anew"


def test_new_and_existing_disks_of_volumes_on_two_datastores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving_site: Site
) -> None:
    world = Surrounded(tmp_path, site=moving_site)
    world.patch(monkeypatch)
    with moving_site.login() as vsphere:
        path = store(vsphere, "[datastore2] stage/srv.vmdk", 40 * MIB)
        storage = StorageSpec(PER_VOLUME, partitions={"/srv": DiskSpec(existing=path)})
        operation, record = world.run(K.PROTECT, made_of(world, "mixed", storage, TWO))
    assert operation.problem is None
    assert record.layout is not None
    root, srv = record.layout.disks
    assert (root.existing, srv.existing, srv.size_bytes) == ("", path, 40 * MIB)
    assert srv.partitions[-1].size_bytes == 38 * MIB, "the volume has what the disk has"
    assert [disk.path for disk in record.disks] == [
        f"[{STORE}] mixed-replica/mixed-replica.vmdk",
        "[datastore2] mixed-replica-dtesx-job-id-mixed/existing-1.vmdk",
    ]


def test_data_of_others_is_refused_and_stays_where_it_is(
    world: Surrounded, vsphere: VSphere, site: Site, name: str
) -> None:
    storage = staged(name, vsphere)
    file = site.file(storage.existing[0])
    for data, where in ((b"precious", 0), (b"precious", 64 * MIB - 8)):
        with file.open("r+b") as disk:
            disk.truncate(0)
            disk.truncate(64 * MIB)
            disk.seek(where)
            disk.write(data)
        operation, record = world.run(K.PROTECT, made_of(world, name, storage))
        assert operation.problem is not None
        assert "is not blank" in operation.problem.message
        assert (record.state, record.replica_ref, record.lent) == (JobState.PROTECT_FAILED, "", ())
        assert len(world.appliance().disks) == 1, "the appliance lets it go"
        assert data in file.read_bytes()
        assert vsphere.replica_of(owner_of(record), f"{name}-replica") is None


def test_what_stands_against_a_disk(
    world: Surrounded,
    vsphere: VSphere,
    site: Site,
    name: str,
    replica: VirtualMachine,
) -> None:
    def problem(path: str) -> str:
        storage = StorageSpec(disks={"sda": DiskSpec(existing=path)})
        operation, _ = world.run(K.PROTECT, made_of(world, name, storage))
        assert operation.problem is not None
        assert operation.problem.hint
        return operation.problem.message

    assert "there is no virtual disk" in problem(f"[{STORE}] nowhere/x.vmdk")
    assert "there is no datastore nowhere" in problem("[nowhere] x/x.vmdk")
    held = replica.disks[0]
    assert f"belongs to the VM {replica.name}" in problem(held.path)
    vsphere.create_snapshot(replica.ref, "one", "")
    assert f"belongs to the VM {replica.name}" in problem(held.path), "also below a snapshot"
    small = store(vsphere, f"[{STORE}] {name}-small/s.vmdk", 16 * MIB)
    assert "has 16 MiB; sda needs 51 MiB" in problem(small)
    top = vsphere.vm(replica.ref).disks[0]
    for disk in (top, vsphere.vm(replica.ref).disks[1]):
        vsphere.detach_disk(replica.ref, disk)
    assert "has snapshots" in problem(held.path)
    assert "has snapshots" in problem(top.path)


def test_a_copy_with_the_uuid_of_another_disk_is_refused(
    world: Surrounded, vsphere: VSphere, site: Site, name: str, replica: VirtualMachine
) -> None:
    directory = site.datastore / f"{name}-copy"
    directory.mkdir()
    source = site.file(replica.disks[0].path)
    descriptor = source.with_name(source.name.replace("-flat", ""))
    (directory / descriptor.name).write_bytes(descriptor.read_bytes())
    (directory / source.name).write_bytes(source.read_bytes())
    path = f"[{STORE}] {name}-copy/{descriptor.name}"
    storage = StorageSpec(disks={"sda": DiskSpec(existing=path)})
    operation, _ = world.run(K.PROTECT, made_of(world, name, storage))
    assert operation.problem is not None
    assert f"the UUID of another disk, which the VM {replica.name} has" in operation.problem.message


@pytest.mark.parametrize("method", ["MoveVirtualDisk_Task", "ReconfigVM_Task"])
def test_a_creation_that_fails_leaves_nothing_and_the_disk_in_its_place(
    world: Surrounded, vsphere: VSphere, site: Site, name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = staged(name, vsphere)
    record = made_of(world, name, storage)
    monkeypatch.setattr(protect, "look_at_existing", lambda run: None)
    made: Callable[[Any], None] = protect.create_replica

    def fails(run: Any) -> None:
        site.simulator.fail(method, fault="GenericVmConfigFault", message="The array burns.")
        made(run)

    plan_only, record = _until_created(world, record, fails)
    assert plan_only is not None
    assert "The array burns." in plan_only.message
    assert record.replica_ref == ""
    assert vsphere.replica_of(owner_of(record), f"{name}-replica") is None
    assert site.file(storage.existing[0]).exists()
    assert not (site.datastore / f"{name}-replica").exists()
    operation, record = world.run(K.PROTECT, record)
    assert (operation.problem, record.state) == (None, JobState.PROTECTED)


def _until_created(world: Surrounded, record: JobRecord, create: Callable[[Any], None]) -> Any:
    from dtesx.recovery import operations

    steps = tuple(
        replace(step, action=create) if step.name == "create-vm" else step
        for step in operations.OPERATIONS[K.PROTECT]
        if step.name != "existing"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(operations.OPERATIONS, K.PROTECT, steps)
        operation, record = world.run(K.PROTECT, record)
    return operation.problem, record


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_service_that_dies_after_any_change_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_site: Site, keep: str
) -> None:
    """Protect and delete, with an existing and a new disk; the process dies after each call in turn."""
    for last in range(1, 100):
        world = Surrounded(tmp_path, site=own_site, last=last)
        with monkeypatch.context() as patch, own_site.login() as vsphere:
            path = store(vsphere, f"[{STORE}] stage-{last}/srv.vmdk", 40 * MIB)
            world.patch(patch)
            storage = StorageSpec(PER_VOLUME, partitions={"/srv": DiskSpec(existing=path)})
            name = f"crash-{last}"
            operation, record = world.run(K.PROTECT, made_of(world, name, storage, TWO))
            assert (operation.problem, record.state) == (None, JobState.PROTECTED), last
            assert record.disks[1].path.endswith("/existing-1.vmdk")
            assert record.lent == ()
            assert len(world.appliance().disks) == 3
            operation, record = world.run(K.DELETE, record, keep_replica=keep)
            assert operation.problem is None, last
            assert len(world.appliance().disks) == 1
            left = vsphere.replica_of(owner_of(record), f"{name}-replica")
            assert (left is not None) is (keep == "yes"), last
            assert own_site.file(record.disks[1].path).exists() is (keep == "yes")
        if world.changes < last:
            assert last > 12
            return


def test_a_job_that_is_deleted_half_made_leaves_no_vm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_site: Site
) -> None:
    """The service dies when vSphere has made the VM, before it could note that; then the job is deleted."""
    for last in range(1, 100):
        world = Surrounded(tmp_path, site=own_site, last=last)
        with monkeypatch.context() as patch, own_site.login() as vsphere:
            path = store(vsphere, f"[{STORE}] half-{last}/root.vmdk")
            world.patch(patch)
            storage = StorageSpec(disks={"sda": DiskSpec(existing=path)})
            died = _dies(world, made_of(world, f"half-{last}", storage))
            if died is None:
                assert last > 6
                return
            operation, _ = world.run(K.DELETE, died, keep_replica="no")
            assert operation.problem is None, last
            assert len(world.appliance().disks) == 1
            assert vsphere.replica_of(owner_of(died), f"half-{last}-replica") is None


def _dies(world: Surrounded, record: JobRecord) -> JobRecord | None:
    """The job as a service that died leaves it; None when it came to its end."""
    from dtesx.recovery.operations import execute, new_operation
    from tests.unit.recovery.world import Killed

    try:
        execute(new_operation(record, K.PROTECT, {}), record, world.surroundings())
    except Killed:
        return world.jobs[-1]
    return None
