"""The disks of a replica: what is on each of them, in bytes. Planned from an inventory, never probed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.inventory import Firmware
from dtesx.model.mounting import mount_key

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40


class DiskFormat(StrEnum):
    """vSphere's three ways to provision a virtual disk (flat = thick lazily zeroed)."""

    THIN = "thin"
    FLAT = "flat"
    THICK = "thick"


class PartitionRole(StrEnum):
    """What a partition is for; decides its GPT type and who writes into it."""

    BIOS_BOOT = "bios-boot"
    EFI_SYSTEM = "efi-system"
    FILE_SYSTEM = "file-system"
    SWAP = "swap"
    PHYSICAL_VOLUME = "physical-volume"


@dataclass(frozen=True)
class Partition:
    """One GPT partition. ``number`` counts from 1; start and size are multiples of 1 MiB.

    ``fs_type``, ``uuid`` and ``label`` are those of the source's file system or swap;
    ``mount_point`` is where the replica mounts it ("" for none). ``group`` is the volume group that a
    physical volume belongs to.
    """

    number: int
    role: PartitionRole
    start_bytes: int
    size_bytes: int
    fs_type: str = ""
    uuid: str = ""
    label: str = ""
    mount_point: str = ""
    group: str = ""


@dataclass(frozen=True)
class DiskLayout:
    """One virtual disk; ``index`` orders the disks of a replica (0 holds the root file system).

    ``bus`` and ``unit`` are its place (SCSI). ``holds`` says what of the source it stands for: a disk, a
    mount point, a volume group. ``existing`` is the datastore path of the disk that is used, "" for a
    new one.
    """

    index: int
    size_bytes: int
    partitions: tuple[Partition, ...]
    datastore: str = ""
    format: DiskFormat = DiskFormat.THIN
    bus: int = 0
    unit: int = 0
    holds: str = ""
    existing: str = ""


@dataclass(frozen=True)
class LogicalVolume:
    """One logical volume; ``size_bytes`` is a multiple of its group's extents."""

    name: str
    role: PartitionRole
    size_bytes: int
    fs_type: str = ""
    uuid: str = ""
    label: str = ""
    mount_point: str = ""


@dataclass(frozen=True)
class VolumeGroup:
    """A volume group over the partitions that name it; its extents have ``extent_bytes``."""

    name: str
    extent_bytes: int
    size_bytes: int
    volumes: tuple[LogicalVolume, ...]


@dataclass(frozen=True)
class Layout:
    """All disks of a replica and the firmware that starts it."""

    firmware: Firmware
    disks: tuple[DiskLayout, ...]
    groups: tuple[VolumeGroup, ...] = ()

    def file_systems(self) -> tuple[tuple[DiskLayout, Partition], ...]:
        """Every file system on a partition with its disk, parents before children (mount order)."""
        found = [
            (disk, partition)
            for disk in self.disks
            for partition in disk.partitions
            if partition.role is PartitionRole.FILE_SYSTEM
        ]
        return tuple(sorted(found, key=lambda pair: mount_key(pair[1].mount_point)))
