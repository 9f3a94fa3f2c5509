from __future__ import annotations

from dtesx.model.inventory import Firmware
from dtesx.model.layout import (
    MIB,
    DiskLayout,
    FileSystem,
    Layout,
    LogicalVolume,
    Partition,
    PartitionRole,
    Subvolume,
    VolumeGroup,
)

ESP = Partition(1, PartitionRole.EFI_SYSTEM, MIB, MIB, "vfat", "AB-CD", "", "/boot/efi", options=("uid=0",))
BOOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, MIB, "xfs", "u-boot", "", "/boot")
MEMBER = Partition(3, PartitionRole.PHYSICAL_VOLUME, 3 * MIB, 9 * MIB, group="vg0")
ROOT = LogicalVolume("root", PartitionRole.FILE_SYSTEM, 4 * MIB, "ext4", "u-root", "system", "/")
SWAP = LogicalVolume("swap", PartitionRole.SWAP, 4 * MIB, "swap", "u-swap")
DATA = Partition(
    4,
    PartitionRole.FILE_SYSTEM,
    12 * MIB,
    MIB,
    "btrfs",
    "u-data",
    "",
    "/srv",
    subvolumes=(
        Subvolume("@", mounted=False),
        Subvolume("@/srv", "/srv", default=True),
        Subvolume("@/srv/machines", "/srv/machines", mounted=False),
        Subvolume("@home", "/home"),
    ),
)
LAYOUT = Layout(
    Firmware.UEFI,
    (DiskLayout(0, 14 * MIB, (ESP, BOOT, MEMBER, DATA)),),
    (VolumeGroup("vg0", 4 * MIB, 8 * MIB, (ROOT, SWAP)),),
)


def test_file_systems_are_all_that_is_mounted_parents_first() -> None:
    assert LAYOUT.file_systems() == (
        FileSystem("/", "ext4", "u-root", "system", "vg0", "root"),
        FileSystem("/boot", "xfs", "u-boot"),
        FileSystem("/boot/efi", "vfat", "AB-CD", options=("uid=0",)),
        FileSystem("/home", "btrfs", "u-data", subvolume="@home"),
        FileSystem("/srv", "btrfs", "u-data", subvolume="@/srv"),
        FileSystem("/srv/machines", "btrfs", "u-data", subvolume="@/srv/machines", mounted=False),
    )


def test_volumes_are_what_has_content() -> None:
    assert LAYOUT.volumes() == (ESP, BOOT, DATA, ROOT, SWAP)
