from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.inventory.assembling import Readings, Storage, assemble
from dtesx.management.bodies import encoded, json_body
from dtesx.model.inventory import Firmware, Inventory, OperatingSystem
from dtesx.model.storage import DeviceKind, Reason, TableKind, VolumeKind
from tests.unit.inventory import records
from tests.unit.inventory.records import GIB, MIB, findmnt, lsblk, mount, node

MACHINES = [records.rhel(), records.raid(), records.thin(), records.locked(), records.suse()]


def inventory(storage: Storage) -> Inventory:
    return Inventory(
        hostname="alpha",
        os=OperatingSystem("x", "1", "X"),
        kernel="6.1",
        architecture="x86_64",
        firmware=Firmware.BIOS,
        cpus=1,
        memory_bytes=GIB,
        devices=storage.devices,
        file_systems=storage.file_systems,
        swaps=storage.swaps,
        nics=(),
        volume_groups=storage.volume_groups,
    )


@pytest.mark.parametrize("readings", MACHINES)
def test_an_inventory_survives_the_way_over_the_api(readings: Readings) -> None:
    found = assemble(readings)
    whole = replace(inventory(found), unprotected=found.unprotected)
    assert json_body(encoded(whole), Inventory) == whole


def disks_of(storage: Storage, mount_point: str) -> list[str]:
    whole = inventory(storage)
    fs = whole.file_system(mount_point)
    assert fs is not None
    return [disk.name for disk in whole.disks_below(fs.device)]


@pytest.mark.parametrize("readings", MACHINES)
def test_what_a_device_is_made_of_comes_before_it(readings: Readings) -> None:
    names = [device.name for device in assemble(readings).devices]
    assert len(set(names)) == len(names)
    for device in assemble(readings).devices:
        assert all(names.index(below) < names.index(device.name) for below in device.below)


def test_lvm_on_uefi_with_an_old_lsblk() -> None:
    found = assemble(records.rhel())
    by_name = {device.name: device for device in found.devices}
    assert "sr0" not in by_name
    sda = by_name["sda"]
    assert (sda.kind, sda.size_bytes, sda.read_only) == (DeviceKind.DISK, 64 * GIB, False)
    assert sda.disk is not None
    assert (sda.disk.table, sda.disk.table_id) == (TableKind.GPT, "ABCD")
    assert (sda.disk.model, sda.disk.transport, sda.disk.rotational) == ("Virtual disk", "sas", True)
    esp = by_name["sda1"]
    assert esp.partition is not None
    assert (esp.partition.number, esp.partition.start_bytes) == (1, MIB)
    assert (esp.partition.type[:8], esp.partition.label, esp.partition.uuid) == (
        "C12A7328",
        "EFI System",
        "p1",
    )
    assert (esp.content.type, esp.content.label) == ("vfat", "EFI")
    assert by_name["dm-0"].path == "/dev/mapper/rhel-root"
    assert by_name["dm-0"].below == ("sda3",)
    (group,) = found.volume_groups
    assert (group.name, group.extent_bytes, group.free_bytes) == ("rhel", 4 * MIB, GIB)
    assert [(v.name, v.device, v.kind) for v in group.logical_volumes] == [
        ("root", "dm-0", VolumeKind.LINEAR),
        ("swap", "dm-1", VolumeKind.LINEAR),
        ("spare", "", VolumeKind.LINEAR),
    ]
    assert [(s.device, s.uuid, s.disk) for s in found.swaps] == [("/dev/mapper/rhel-swap", "u-swap", "sda")]
    assert [(f.mount_point, f.type, f.uuid) for f in found.file_systems] == [
        ("/", "xfs", "u-root"),
        ("/boot", "xfs", "u-boot"),
        ("/boot/efi", "vfat", "ABCD-0001"),
    ]
    assert found.unprotected == ()
    assert disks_of(found, "/") == ["sda"]


def test_a_volume_on_an_array_is_on_both_its_disks() -> None:
    found = assemble(records.raid())
    by_name = {device.name: device for device in found.devices}
    assert (by_name["md0"].kind, by_name["md0"].below) == (DeviceKind.RAID, ("sda1", "sdb1"))
    facts = by_name["md0"].raid
    assert facts is not None
    assert (facts.level, facts.metadata, facts.members, facts.missing) == ("raid1", "1.2", 2, 1)
    assert disks_of(found, "/") == ["sda", "sdb"]
    whole = inventory(found)
    assert whole.group_of("/dev/md0") is whole.volume_groups[0]
    assert by_name["sda"].disk is not None
    assert by_name["sda"].disk.table is TableKind.MBR
    parts = [by_name[name].partition for name in ("sda1", "sda2", "sda5", "sdb1")]
    assert [(p.number, p.type, p.bootable, p.uuid) for p in parts if p] == [
        (1, "FD", True, "abcd-01"),
        (2, "5", False, "abcd-02"),
        (5, "83", False, "abcd-05"),
        (1, "FD", False, "abcd-01"),
    ]


def test_a_thin_pool_on_a_multipath_disk() -> None:
    found = assemble(records.thin())
    whole = inventory(found)
    assert [disk.name for disk in whole.disks] == ["dm-0"]
    assert disks_of(found, "/srv") == ["dm-0"]
    part = whole.device("dm-1")
    assert part is not None
    assert part.partition is not None
    assert part.partition.start_bytes == MIB  # the table counts sectors of 4096 bytes
    (group,) = found.volume_groups
    assert [p.missing for p in group.physical_volumes] == [False, True]
    assert [(v.name, v.kind, v.pool, v.origin, v.used_percent) for v in group.logical_volumes] == [
        ("pool", VolumeKind.THIN_POOL, "", "", 37.5),
        ("data", VolumeKind.THIN, "pool", "", 12.0),
        ("data-snap", VolumeKind.THIN, "pool", "data", None),
        ("old", VolumeKind.SNAPSHOT, "", "x", 1.5),
        ("mirrored", VolumeKind.RAID, "", "", None),
    ]
    assert [d.name for d in whole.devices_of(found.file_systems[0])] == ["dm-5"]
    assert whole.volume("/dev/mapper/vg-data") == (group, group.logical_volumes[1])
    pool = whole.device("dm-4")
    assert pool is not None
    assert pool.below == ("dm-2", "dm-3")


def test_luks_and_what_cannot_be_protected() -> None:
    found = assemble(records.locked())
    assert [device.name for device in found.devices] == ["nvme0n1", "nvme0n1p3", "dm-0", "dm-1"]
    locked = found.devices[1]
    assert (locked.content.type, locked.content.version) == ("crypto_LUKS", "2")
    assert locked.partition is not None
    assert locked.partition.number == 3
    assert found.devices[2].kind is DeviceKind.ENCRYPTED
    assert [(u.mount_point, u.reason) for u in found.unprotected] == [
        ("/snap/core/1", Reason.IMAGE),
        ("/srv/nfs", Reason.NETWORK),
        ("/home/u/.secret", Reason.STACKED),
        ("/mnt/ssh", Reason.NETWORK),
        ("/mnt/tool", Reason.USER_SPACE),
        ("/mnt/win", Reason.UNSUPPORTED),
        ("/mnt/zfs", Reason.UNSUPPORTED),
    ]


def test_subvolumes_of_a_btrfs_over_two_disks() -> None:
    found = assemble(records.suse())
    assert [(f.mount_point, f.subvolume) for f in found.file_systems] == [
        ("/", "/@/.snapshots/1/with path snapshot"),
        ("/var", "/@/var"),
    ]
    assert {f.device for f in found.file_systems} == {"/dev/vda2"}
    assert {f.label for f in found.file_systems} == {"system disk"}
    assert [(s.id, s.path, s.snapshot, s.default) for s in found.file_systems[0].subvolumes] == [
        (256, "@", False, False),
        (258, "@/var", False, False),
        (260, "@/.snapshots/1/with path snapshot", True, True),
    ]
    whole = inventory(found)
    assert [d.name for d in whole.devices_of(found.file_systems[0])] == ["vdb", "vda2"]


def test_a_namespace_has_only_what_its_mounts_and_swap_are_on() -> None:
    own = findmnt(mount("/", "/dev/sda2", "8:2"))
    found = assemble(replace(records.rhel(), whole_machine=False, mounts=own))
    assert [device.name for device in found.devices] == ["sda", "sda2", "sda3", "dm-1"]


def test_groups_on_other_disks_are_not_those_of_a_namespace() -> None:
    elsewhere = lsblk(node("sdz", "disk", "8:77"))
    readings = Readings(elsewhere, findmnt(mount("/", "/dev/sdz", "8:77")), lvm=records.raid().lvm)
    assert assemble(replace(readings, whole_machine=False)).volume_groups == ()


def test_swap_in_a_namespace_counts_on_its_own_disks_only() -> None:
    disks = lsblk(
        node("sda", "disk", "8:0", node("sda1", "part", "8:1"), node("sda2", "part", "8:2")),
        node("sdb", "disk", "8:16"),
    )
    swaps = "Filename\n/dev/sda2 partition 1 0 -2\n/dev/sdb partition 1 0 -2\n/swapfile file 1 0 -2\n"
    readings = Readings(disks, findmnt(mount("/", "/dev/sda1", "8:1")), swaps=swaps)
    assert [s.device for s in assemble(readings).swaps] == ["/dev/sda2", "/dev/sdb"]
    assert [s.device for s in assemble(replace(readings, whole_machine=False)).swaps] == ["/dev/sda2"]


def test_blkid_is_believed_where_udev_is_silent() -> None:
    readings = Readings(
        lsblk(node("loop4", "loop", "7:4")),
        findmnt(mount("/", "/dev/root", "7:4")),
        probed={"/dev/loop4": "UUID=u-4\nLABEL=my\\ disk\nTYPE=ext4\n"},
    )
    (fs,) = assemble(readings).file_systems
    assert (fs.device, fs.uuid, fs.label, fs.used_bytes) == ("/dev/loop4", "u-4", "my disk", 500)
