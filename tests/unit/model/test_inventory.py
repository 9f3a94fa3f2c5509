from __future__ import annotations

from dtesx.model.inventory import Firmware, Inventory, OperatingSystem
from dtesx.model.storage import (
    BlockDevice,
    DeviceKind,
    LogicalVolume,
    PhysicalVolume,
    VolumeGroup,
    VolumeKind,
)


def device(name: str, kind: DeviceKind, *below: str, path: str = "") -> BlockDevice:
    return BlockDevice(name, path or f"/dev/{name}", kind, 1 << 30, below)


DEVICES = (
    device("sda", DeviceKind.DISK),
    device("sdb", DeviceKind.DISK),
    device("sdc", DeviceKind.DISK),
    device("sdd", DeviceKind.DISK),
    device("sda1", DeviceKind.PARTITION, "sda"),
    device("sdb1", DeviceKind.PARTITION, "sdb"),
    device("md0", DeviceKind.RAID, "sda1", "sdb1"),
    device("dm-0", DeviceKind.LOGICAL_VOLUME, "md0", path="/dev/mapper/vg-root"),
    device("dm-1", DeviceKind.MULTIPATH, "sdc", "sdd", path="/dev/mapper/mpatha"),
    device("dm-2", DeviceKind.PARTITION, "dm-1", path="/dev/mapper/mpatha1"),
)
ROOT = LogicalVolume("root", "lv-1", 1 << 29, VolumeKind.LINEAR, "dm-0")
GROUP = VolumeGroup(
    "vg", "vg-1", 1 << 30, 1 << 29, 4 << 20, (PhysicalVolume("/dev/md0", "pv-1", 1, 0),), (ROOT,)
)
INVENTORY = Inventory(
    hostname="alpha",
    os=OperatingSystem("debian", "12", "Debian"),
    kernel="6.1",
    architecture="x86_64",
    firmware=Firmware.BIOS,
    cpus=1,
    memory_bytes=1 << 30,
    devices=DEVICES,
    file_systems=(),
    swaps=(),
    nics=(),
    volume_groups=(GROUP,),
)


def test_a_volume_on_an_array_is_on_both_disks() -> None:
    assert [d.name for d in INVENTORY.disks_below("/dev/mapper/vg-root")] == ["sda", "sdb"]
    assert [d.name for d in INVENTORY.disks_below("dm-0")] == ["sda", "sdb"]
    assert [d.name for d in INVENTORY.disks_below("sdb")] == ["sdb"]
    assert INVENTORY.disks_below("nothing") == ()


def test_a_multipath_device_is_the_disk_and_its_paths_are_not() -> None:
    assert [d.name for d in INVENTORY.disks] == ["sda", "sdb", "dm-1"]
    assert [d.name for d in INVENTORY.disks_below("dm-2")] == ["dm-1"]


def test_a_device_leads_to_its_volume_and_group() -> None:
    assert INVENTORY.volume("/dev/mapper/vg-root") == (GROUP, ROOT)
    assert INVENTORY.volume("sda") is None
    assert INVENTORY.volume("nothing") is None
    assert INVENTORY.group_of("/dev/md0") is GROUP
    assert INVENTORY.group_of("/dev/sda") is None
