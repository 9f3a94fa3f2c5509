"""The disks of a replica: what is on each of them, in bytes. Planned from an inventory, never probed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.inventory import Firmware
from dtesx.model.mounting import mount_key

MIB = 1 << 20
GIB = 1 << 30


class PartitionRole(StrEnum):
    """What a partition is for; decides its GPT type and who writes into it."""

    BIOS_BOOT = "bios-boot"
    FILE_SYSTEM = "file-system"
    SWAP = "swap"


@dataclass(frozen=True)
class Partition:
    """One GPT partition. ``number`` counts from 1; start and size are multiples of 1 MiB.

    ``fs_type``, ``uuid`` and ``label`` are those of the source's file system or swap;
    ``mount_point`` is where the replica mounts it ("" for none).
    """

    number: int
    role: PartitionRole
    start_bytes: int
    size_bytes: int
    fs_type: str = ""
    uuid: str = ""
    label: str = ""
    mount_point: str = ""


@dataclass(frozen=True)
class DiskLayout:
    """One virtual disk; ``index`` orders the disks of a replica (0 holds the root file system)."""

    index: int
    size_bytes: int
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Layout:
    """All disks of a replica and the firmware that starts it."""

    firmware: Firmware
    disks: tuple[DiskLayout, ...]

    def file_systems(self) -> tuple[tuple[DiskLayout, Partition], ...]:
        """Every file system with its disk, parents before children (mount order)."""
        found = [
            (disk, partition)
            for disk in self.disks
            for partition in disk.partitions
            if partition.role is PartitionRole.FILE_SYSTEM
        ]
        return tuple(sorted(found, key=lambda pair: mount_key(pair[1].mount_point)))
