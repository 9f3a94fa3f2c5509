"""The pure halves: requests built, answers read, names chosen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.base.errors import Conflict, NotFound, UsageError
from dtesx.model import scsi
from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskFormat, DiskLayout
from dtesx.model.vmware import NicPlan, ReplicaPlan, VirtualDisk, is_owned, owner_note
from dtesx.vsphere import devices, disks, inventory, machines, placement, power, replica, snapshots
from dtesx.vsphere.collector import Row

GIB = 1 << 30


def disk_layouts(*sizes: int, form: DiskFormat = DiskFormat.THIN) -> tuple[DiskLayout, ...]:
    """Blank disks of these sizes at the first places."""
    return tuple(
        DiskLayout(index, size, (), "ds1", form, place.bus, place.unit)
        for index, (size, place) in enumerate(zip(sizes, scsi.places(0), strict=False))
    )


PLAN = ReplicaPlan(
    name="web-replica",
    owner="job-1",
    datastore="ds1",
    guest_id="debian12_64Guest",
    firmware=Firmware.UEFI,
    sockets=1,
    cores_per_socket=2,
    memory_mib=2048,
    disks=disk_layouts(8 * GIB, GIB + 1),
    nics=(NicPlan("VM Network"), NicPlan("dv", "00:50:56:01:02:03")),
)
NETWORK = Row(vim.Network("network-1", None), {"name": "VM Network"})
GROUP = Row(vim.dvs.DistributedVirtualPortgroup("dvportgroup-1", None), {"name": "dv"})


def spec(plan: ReplicaPlan = PLAN) -> Any:
    networks = {"VM Network": placement.backing(NETWORK), "dv": placement.backing(GROUP, "switch", "key-9")}
    return replica.config_spec(plan, placement.Placement(placement.Spot(*[None] * 6), networks, ()))


def added(request: Any, kind: Any) -> list[Any]:
    return [change.device for change in request.deviceChange if isinstance(change.device, kind)]


def controller(key: int, bus: int, kind: Any = vim.vm.device.ParaVirtualSCSIController) -> Any:
    return kind(key=key, busNumber=bus, sharedBus="noSharing")


def disk(key: int, controller: int, unit: int, path: str = "[ds1] a/a.vmdk", uuid: str = "") -> Any:
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode="persistent", uuid=uuid)
    return vim.vm.device.VirtualDisk(
        key=key, controllerKey=controller, unitNumber=unit, capacityInKB=1024, backing=backing
    )


def test_the_replica_is_what_was_planned() -> None:
    request = spec()
    assert (request.name, request.guestId, request.firmware) == ("web-replica", "debian12_64Guest", "efi")
    assert (request.numCPUs, request.numCoresPerSocket, request.memoryMB) == (2, 2, 2048)
    assert request.files.vmPathName == "[ds1]"
    assert [(item.key, item.value) for item in request.extraConfig] == [("disk.EnableUUID", "TRUE")]
    assert is_owned(request.annotation, "job-1")
    assert spec(replace(PLAN, firmware=Firmware.BIOS)).firmware == "bios"


def test_disks_are_made_whole_kibibytes_beside_the_vm() -> None:
    made = added(spec(), vim.vm.device.VirtualDisk)
    assert [item.capacityInBytes for item in made] == [8 * GIB, GIB + 1024]
    assert [item.capacityInKB for item in made] == [8 << 20, (1 << 20) + 1]
    assert {item.backing.fileName for item in made} == {"[ds1]"}
    changes = [
        change for change in spec().deviceChange if isinstance(change.device, vim.vm.device.VirtualDisk)
    ]
    assert {(change.operation, change.fileOperation) for change in changes} == {("add", "create")}


@pytest.mark.parametrize(
    ("format_", "thin", "eager"),
    [(DiskFormat.THIN, True, False), (DiskFormat.FLAT, False, False), (DiskFormat.THICK, False, True)],
)
def test_disk_formats(format_: DiskFormat, thin: bool, eager: bool) -> None:
    backing = added(spec(replace(PLAN, disks=disk_layouts(GIB, form=format_))), vim.vm.device.VirtualDisk)[
        0
    ].backing
    assert (backing.thinProvisioned, backing.eagerlyScrub) == (thin, eager)


def test_many_disks_spread_over_controllers_and_never_take_unit_7() -> None:
    request = spec(replace(PLAN, disks=disk_layouts(*(GIB,) * 60)))
    controllers = added(request, vim.vm.device.ParaVirtualSCSIController)
    assert [item.busNumber for item in controllers] == [0, 1, 2, 3]
    made = added(request, vim.vm.device.VirtualDisk)
    seats = [(item.controllerKey, item.unitNumber) for item in made]
    assert len(set(seats)) == 60
    assert 7 not in {unit for _, unit in seats}
    assert {key for key, _ in seats} == {item.key for item in controllers}
    keys = [change.device.key for change in request.deviceChange]
    assert len(set(keys)) == len(keys)
    assert max(keys) < 0


def test_more_disks_than_old_hardware_has_places_for_ask_for_new_hardware() -> None:
    assert spec().version is None
    places = zip(range(61), scsi.places(14), strict=False)
    many = tuple(DiskLayout(index, GIB, (), "ds1", bus=place.bus, unit=place.unit) for index, place in places)
    assert spec(replace(PLAN, disks=many)).version == "vmx-14"


def test_disks_are_where_the_plan_says() -> None:
    other = DiskLayout(0, GIB, (), "ds2", DiskFormat.FLAT, bus=2, unit=9)
    request = spec(replace(PLAN, disks=(other,)))
    (bus,) = added(request, vim.vm.device.ParaVirtualSCSIController)
    (made,) = added(request, vim.vm.device.VirtualDisk)
    assert (bus.busNumber, made.controllerKey, made.unitNumber) == (2, bus.key, 9)
    assert made.backing.fileName == "[ds2]"
    assert request.files.vmPathName == "[ds1]"


@pytest.mark.parametrize(("version", "number"), [("vmx-19", 19), ("vmx-08", 8), ("", 0), ("vmx-", 0)])
def test_virtual_hardware_versions(version: str, number: int) -> None:
    assert machines.hardware_version(version) == number


def test_nics_are_vmxnet3_on_their_networks() -> None:
    first, second = added(spec(), vim.vm.device.VirtualVmxnet3)
    assert (first.backing.deviceName, first.macAddress, first.addressType) == ("VM Network", None, None)
    assert first.connectable.startConnected
    assert (second.backing.port.switchUuid, second.backing.port.portgroupKey) == ("switch", "key-9")
    assert (second.macAddress, second.addressType) == ("00:50:56:01:02:03", "manual")


def test_ownership_is_exact_and_survives_added_notes() -> None:
    notes = owner_note("job-1") + "\nOn loan to Eve."
    assert is_owned(notes, "job-1")
    assert not is_owned(notes, "job")
    assert not is_owned(notes, "job-11")
    assert not is_owned("", "")


def test_a_free_place_skips_used_units_and_unit_7() -> None:
    held = [controller(1000, 0), *(disk(2000 + n, 1000, n) for n in range(7))]
    assert devices.free_seat(held, 13) == devices.Seat(1000, 0, 8)


def test_a_vm_without_pvscsi_gets_a_controller_on_a_free_bus() -> None:
    lsi = controller(1000, 0, vim.vm.device.VirtualLsiLogicController)
    seat = devices.free_seat([lsi], 19)
    assert (seat.bus, seat.unit) == (1, 0)
    assert seat.controller < 0


def test_a_full_vm_is_told() -> None:
    held = [controller(1000 + bus, bus) for bus in range(4)]
    held += [disk(2000 + 16 * bus + unit, 1000 + bus, unit) for bus in range(4) for unit in scsi.units(13)]
    with pytest.raises(Conflict, match="no room"):
        devices.free_seat(held, 13)
    assert devices.free_seat(held, 14) == devices.Seat(1000, 0, 16)


WANTED = VirtualDisk(2000, "[ds1] a/a.vmdk", "6000C29a-1111-2222-3333-444455556666", 5 * GIB, 1000, 0)


def test_attaching_adds_the_existing_file() -> None:
    (change,) = disks.attach_changes([controller(1001, 0)], WANTED, 13)
    assert (change.operation, change.fileOperation) == ("add", None)
    assert (change.device.controllerKey, change.device.unitNumber) == (1001, 0)
    assert change.device.backing.fileName == WANTED.path
    assert change.device.capacityInBytes == 5 * GIB


def test_attaching_to_a_vm_without_controller_makes_one_first() -> None:
    controller, addition = disks.attach_changes([], WANTED, 13)
    assert isinstance(controller.device, vim.vm.device.ParaVirtualSCSIController)
    assert addition.device.controllerKey == controller.device.key


def test_an_attached_disk_is_known_by_its_path() -> None:
    held = [controller(1000, 0), disk(2001, 1000, 3, WANTED.path)]
    found = disks.attached(held, WANTED)
    assert found is not None
    assert (found.key, found.unit) == (2001, 3)
    assert disks.attached([disk(2001, 1000, 3, "[ds1] b/b.vmdk")], WANTED) is None


def test_an_older_file_of_the_same_disk_is_a_conflict() -> None:
    newer = replace(WANTED, path="[ds1] a/a-000001.vmdk", below=(WANTED.path,))
    held = [disk(2001, 1000, 3, WANTED.path, WANTED.uuid.lower())]
    with pytest.raises(Conflict, match="still holds"):
        disks.attached(held, newer)


def test_a_newer_file_of_the_same_disk_is_a_conflict() -> None:
    held = disk(2001, 1000, 3, "[ds1] b/a-000001.vmdk", WANTED.uuid)
    held.backing.parent = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=WANTED.path)
    with pytest.raises(Conflict, match="a snapshot of that VM put above"):
        disks.attached([held], WANTED)


def test_a_disk_that_was_moved_with_its_vm_is_the_same() -> None:
    found = disks.attached([disk(2001, 1000, 3, "[ds2] b/a.vmdk", WANTED.uuid)], WANTED)
    assert found is not None
    assert found.path == "[ds2] b/a.vmdk"


def test_disks_come_in_the_order_of_their_places() -> None:
    read = machines.disks([disk(1, 1001, 0), controller(1000, 0), disk(2, 1000, 8), disk(3, 1000, 1)])
    assert [item.key for item in read] == [3, 2, 1]
    assert read[0].size_bytes == 1 << 20


def test_uuids_in_the_other_byte_order() -> None:
    uuid = "00112233-4455-6677-8899-aabbccddeeff"
    assert machines.swapped(uuid) == "33221100-5544-7766-8899-aabbccddeeff"
    assert machines.swapped(machines.swapped(uuid)) == uuid
    with pytest.raises(UsageError):
        machines.swapped("x")


def tree(name: str, *children: Any) -> Any:
    managed = vim.vm.Snapshot(f"snapshot-{name}", None)
    return vim.vm.SnapshotTree(
        snapshot=managed, name=name, description="", createTime=datetime(2026, 1, 1, tzinfo=UTC),
        childSnapshotList=list(children), vm=vim.VirtualMachine("vm-1", None), id=1, state="poweredOff",
        quiesced=False,
    )  # fmt: skip


def test_snapshots_are_listed_parents_first() -> None:
    info = vim.vm.SnapshotInfo(
        currentSnapshot=vim.vm.Snapshot("snapshot-c", None),
        rootSnapshotList=[tree("a", tree("b"), tree("c")), tree("d")],
    )
    listed = snapshots.flattened(info)
    assert [item.name for item in listed] == ["a", "b", "c", "d"]
    assert [item.name for item in listed if item.current] == ["c"]
    assert listed[0].created == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_no_snapshots_in_either_form() -> None:
    assert snapshots.flattened(None) == ()
    assert snapshots.flattened(vim.vm.SnapshotInfo()) == ()


def nic(*addresses: str) -> Any:
    return vim.vm.GuestInfo.NicInfo(ipAddress=list(addresses), connected=True, deviceConfigId=4000)


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, None),
        ({"guest.ipAddress": "10.0.0.5"}, "10.0.0.5"),
        ({"guest.ipAddress": "169.254.3.4"}, None),
        (
            {"guest.ipAddress": "fe80::1", "guest.net": [nic("fe80::1", "2001:db8::5", "10.0.0.6")]},
            "10.0.0.6",
        ),
        ({"guest.net": [nic("2001:db8::5")]}, "2001:db8::5"),
        ({"guest.ipAddress": "10.0.0.5", "guest.net": [nic("10.9.9.9")]}, "10.0.0.5"),
        ({"guest.ipAddress": "127.0.0.1"}, None),
    ],
)
def test_the_guest_address_is_one_that_others_can_reach(values: dict[str, Any], address: str | None) -> None:
    assert power.guest_address(values) == address


def folder(ref: str, name: str, parent: str) -> Row:
    return Row(vim.Folder(ref, None), {"name": name, "parent": vim.Folder(parent, None)})


def test_folders_have_paths_below_the_datacenter() -> None:
    found = [folder("f1", "prod", "root"), folder("f2", "web", "f1"), folder("f3", "web", "root")]
    paths = placement.folder_paths(found, vim.Folder("root", None))
    assert {path: row.ref for path, row in paths.items()} == {"prod": "f1", "prod/web": "f2", "web": "f3"}


def rows(*names: str) -> list[Row]:
    return [Row(vim.Datastore(f"ds-{n}", None), {"name": name}) for n, name in enumerate(names)]


def test_choosing_tells_what_exists_the_similar_first() -> None:
    assert inventory.choose("datastore", "b", rows("a", "b"), hint="").ref == "ds-1"
    with pytest.raises(NotFound, match="no datastore called store2; there are: store1, a, z") as caught:
        inventory.choose("datastore", "store2", rows("z", "store1", "a"), hint="do this")
    assert caught.value.hint == "do this"
    with pytest.raises(NotFound, match="and 3 more"):
        inventory.choose("datastore", "x", rows(*(f"n{i:02}" for i in range(11))), hint="")
    with pytest.raises(NotFound, match="none that this account can see"):
        inventory.choose("datastore", "x", [], hint="")
    with pytest.raises(Conflict, match="2 objects are called a"):
        inventory.choose("datastore", "a", rows("a", "a"), hint="")
