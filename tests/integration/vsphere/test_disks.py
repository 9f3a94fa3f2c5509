from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dtesx.base.errors import Conflict, NotFound, TargetFull, VSphereError
from dtesx.model.layout import DiskLayout
from dtesx.model.vmware import ReplicaPlan, VirtualMachine
from dtesx.vsphere.client import VSphere

pytestmark = pytest.mark.integration

MakeReplica = Callable[[ReplicaPlan], VirtualMachine]
Disks = Callable[..., tuple[DiskLayout, ...]]
MIB = 1 << 20


def paths(machine: VirtualMachine) -> list[str]:
    return [disk.path for disk in machine.disks]


def test_a_disk_goes_to_the_running_appliance_and_back(
    site: Any, vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine
) -> None:
    disk = replica.disks[0]
    held = vsphere.attach_disk(appliance.ref, disk)
    assert (held.path, held.uuid, held.size_bytes) == (disk.path, disk.uuid, disk.size_bytes)
    assert paths(vsphere.vm(appliance.ref)) == [appliance.disks[0].path, disk.path]
    vsphere.detach_disk(appliance.ref, disk)
    assert vsphere.vm(appliance.ref).disks == appliance.disks
    assert site.file(disk.path).stat().st_size == 64 * MIB
    assert vsphere.vm(replica.ref).disks == replica.disks


def test_both_may_be_repeated(
    site: Any, vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine
) -> None:
    first = vsphere.attach_disk(appliance.ref, replica.disks[0])
    assert vsphere.attach_disk(appliance.ref, replica.disks[0]) == first
    second = vsphere.attach_disk(appliance.ref, replica.disks[1])
    assert (first.controller, first.unit) != (second.controller, second.unit)
    assert len(vsphere.vm(appliance.ref).disks) == 3
    vsphere.detach_disk(appliance.ref, replica.disks[0])
    site.simulator.fail("ReconfigVM_Task", fault="SystemError", message="It was not left alone.")
    vsphere.detach_disk(appliance.ref, replica.disks[0])
    vsphere.attach_disk(appliance.ref, replica.disks[1])
    site.simulator.fail("ReconfigVM_Task", fault="SystemError", message="", count=0)
    assert paths(vsphere.vm(appliance.ref)) == [appliance.disks[0].path, replica.disks[1].path]


def test_a_full_controller_is_followed_by_another(
    vsphere: VSphere,
    appliance: VirtualMachine,
    make_replica: MakeReplica,
    plan: ReplicaPlan,
    some_disks: Disks,
) -> None:
    made = make_replica(replace(plan, disks=some_disks(*(MIB,) * 16)))
    held = [vsphere.attach_disk(appliance.ref, disk) for disk in made.disks]
    assert len({(disk.controller, disk.unit) for disk in held}) == 16
    assert len({disk.controller for disk in held}) == 2
    assert 7 not in {disk.unit for disk in held}


def test_a_disk_of_another_running_vm_is_in_use(
    vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine
) -> None:
    vsphere.power_on(replica.ref)
    disk = replica.disks[0]
    with pytest.raises(Conflict, match="is in use by another VM") as caught:
        vsphere.attach_disk(appliance.ref, disk)
    assert disk.path in caught.value.message
    assert "detach" in caught.value.hint
    vsphere.power_off(replica.ref)
    assert vsphere.attach_disk(appliance.ref, disk).path == disk.path


def test_a_replica_whose_disks_the_appliance_holds_does_not_start(
    vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine
) -> None:
    vsphere.attach_disk(appliance.ref, replica.disks[0])
    with pytest.raises(Conflict, match=rf"could not power on the VM {replica.name}: .* in use by another VM"):
        vsphere.power_on(replica.ref)
    assert not vsphere.vm(replica.ref).powered_on


def test_a_file_that_is_gone(vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine) -> None:
    missing = replace(replica.disks[0], path="[datastore1] nowhere/x.vmdk", uuid="")
    with pytest.raises(NotFound, match=r"nowhere/x\.vmdk does not exist"):
        vsphere.attach_disk(appliance.ref, missing)


def test_the_snapshot_cycle(vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine) -> None:
    assert vsphere.snapshots(replica.ref) == ()
    base = replica.disks[0]
    vsphere.attach_disk(appliance.ref, base)
    with pytest.raises(Conflict, match="in use"):
        vsphere.create_snapshot(replica.ref, "too early", "")
    vsphere.detach_disk(appliance.ref, base)

    first = vsphere.create_snapshot(replica.ref, "one", "before the change")
    assert (first.name, first.description, first.current) == ("one", "before the change", True)
    top = vsphere.vm(replica.ref).disks[0]
    assert top.path != base.path
    assert top.uuid == base.uuid
    held = vsphere.attach_disk(appliance.ref, top)
    assert held.path == top.path

    vsphere.detach_disk(appliance.ref, top)
    second = vsphere.create_snapshot(replica.ref, "two", "")
    listed = vsphere.snapshots(replica.ref)
    assert [(item.name, item.current) for item in listed] == [("one", False), ("two", True)]
    assert listed[0].created <= listed[1].created
    assert second.ref == listed[1].ref


def test_an_older_file_of_the_chain_is_not_taken_for_the_disk(
    vsphere: VSphere, appliance: VirtualMachine, replica: VirtualMachine
) -> None:
    base = replica.disks[0]
    vsphere.create_snapshot(replica.ref, "one", "")
    vsphere.attach_disk(appliance.ref, base)
    top = vsphere.vm(replica.ref).disks[0]
    with pytest.raises(Conflict, match="still holds"):
        vsphere.attach_disk(appliance.ref, top)
    vsphere.detach_disk(appliance.ref, top)
    assert vsphere.attach_disk(appliance.ref, top).path == top.path
    vsphere.detach_disk(appliance.ref, top)


def test_no_room_for_a_snapshot(site: Any, vsphere: VSphere, replica: VirtualMachine) -> None:
    site.simulator.limit_datastore("datastore1", 1 * MIB)
    try:
        with pytest.raises(TargetFull, match="could not take the snapshot full: the datastore datastore1"):
            vsphere.create_snapshot(replica.ref, "full", "")
    finally:
        site.simulator.limit_datastore("datastore1", None)
    assert vsphere.snapshots(replica.ref) == ()
    assert vsphere.vm(replica.ref).disks == replica.disks


def test_a_fault_of_any_other_kind_is_told_in_its_own_words(
    site: Any, vsphere: VSphere, replica: VirtualMachine
) -> None:
    site.simulator.fail("CreateSnapshot_Task", fault="SnapshotFault", message="The tape is full.")
    with pytest.raises(
        VSphereError, match="could not take the snapshot s: vSphere reported The tape is full"
    ):
        vsphere.create_snapshot(replica.ref, "s", "")
    assert vsphere.create_snapshot(replica.ref, "s", "").current
