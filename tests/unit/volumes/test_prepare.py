from __future__ import annotations

import re
from dataclasses import replace

from dtesx.model.inventory import Firmware
from dtesx.model.layout import (
    MIB,
    DiskLayout,
    Layout,
    LogicalVolume,
    Partition,
    PartitionRole,
    VolumeGroup,
)
from dtesx.volumes.prepare import disk_guid, table_script

ROOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, 64 * MIB, "ext4", "u-1", "root", "/")
DISK = DiskLayout(
    0,
    70 * MIB,
    (
        Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB),
        ROOT,
        Partition(3, PartitionRole.SWAP, 66 * MIB, 3 * MIB, "swap", "u-2"),
    ),
)


LAYOUT = Layout(Firmware.BIOS, (DISK,))


def test_table_has_exact_sectors_and_types() -> None:
    lines = table_script(LAYOUT, DISK).splitlines()
    assert lines[0] == "label: gpt"
    assert "1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649" in lines[4]
    assert "2 : start=4096, size=131072, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4" in lines[5]
    assert "3 : start=135168, size=6144, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" in lines[6]
    assert len(set(re.findall(r"uuid=(\S+)", table_script(LAYOUT, DISK)))) == 3


def test_disk_guid_depends_on_the_file_systems_only() -> None:
    other = replace(DISK, partitions=(*DISK.partitions[:1], replace(ROOT, uuid="u-9")))
    assert guid(DISK) == guid(replace(DISK, size_bytes=1 << 40))
    assert guid(DISK) != guid(other)
    assert guid(DISK) != guid(replace(DISK, index=1))


def test_disks_of_two_groups_have_two_identities_though_only_the_volumes_differ() -> None:
    part = Partition(1, PartitionRole.PHYSICAL_VOLUME, MIB, 8 * MIB, group="rhel")
    disk = DiskLayout(0, 10 * MIB, (part,))

    def group(uuid: str) -> VolumeGroup:
        volume = LogicalVolume("root", PartitionRole.FILE_SYSTEM, 4 * MIB, "xfs", uuid, "", "/")
        return VolumeGroup("rhel", 4 * MIB, 4 * MIB, (volume,))

    first, second = (Layout(Firmware.BIOS, (disk,), (group(uuid),)) for uuid in ("u-1", "u-2"))
    assert disk_guid(first, disk) != disk_guid(second, disk)


def guid(disk: DiskLayout) -> str:
    return disk_guid(Layout(Firmware.BIOS, (disk,)), disk)
