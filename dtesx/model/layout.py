"""The disks of a replica: what is on each of them, in bytes. Planned from an inventory, never probed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.inventory import Firmware
from dtesx.model.mounting import mount_key
from dtesx.model.storage import Format

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


_WITH_CONTENT = (PartitionRole.EFI_SYSTEM, PartitionRole.FILE_SYSTEM, PartitionRole.SWAP)


@dataclass(frozen=True)
class Subvolume:
    """A btrfs subvolume; ``path`` is from the top of its file system, "" the top itself.

    ``mount_point`` is where the replica has it, "" for one that only holds others. One that is not
    ``mounted`` by itself is seen there because what it lies in is mounted. ``default`` marks the one
    that is mounted when nobody names any.
    """

    path: str
    mount_point: str = ""
    mounted: bool = True
    default: bool = False


@dataclass(frozen=True)
class Partition:
    """One GPT partition. ``number`` counts from 1; start and size are multiples of 1 MiB.

    ``fs_type``, ``uuid`` and ``label`` are those of the source's file system or swap;
    ``mount_point`` is where the replica mounts it ("" for none). ``group`` is the volume group that a
    physical volume belongs to. Of a btrfs with ``subvolumes`` these are what is mounted, parents first,
    and ``mount_point`` is only what it is called. ``options`` are mount options that decide what the
    files look like (vfat); ``format`` is the source's.
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
    subvolumes: tuple[Subvolume, ...] = ()
    options: tuple[str, ...] = ()
    format: Format = Format()


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
    """One logical volume; ``size_bytes`` is a multiple of its group's extents. The rest: see Partition."""

    name: str
    role: PartitionRole
    size_bytes: int
    fs_type: str = ""
    uuid: str = ""
    label: str = ""
    mount_point: str = ""
    subvolumes: tuple[Subvolume, ...] = ()
    options: tuple[str, ...] = ()
    format: Format = Format()


Volume = Partition | LogicalVolume
"""What a file system or swap is made on."""


@dataclass(frozen=True)
class FileSystem:
    """A file system, or one of its subvolumes, at its place in the replica's tree.

    ``uuid`` tells it from all others of the layout. ``group`` and ``name`` are those of its logical
    volume, or "". ``subvolume`` and ``mounted``: see Subvolume.
    """

    mount_point: str
    fs_type: str
    uuid: str
    label: str = ""
    group: str = ""
    name: str = ""
    subvolume: str = ""
    mounted: bool = True
    options: tuple[str, ...] = ()


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

    def volumes(self) -> tuple[Volume, ...]:
        """Every partition and logical volume that holds a file system or swap."""
        parts = tuple(part for disk in self.disks for part in disk.partitions if part.role in _WITH_CONTENT)
        return (*parts, *(volume for group in self.groups for volume in group.volumes))

    def file_systems(self) -> tuple[FileSystem, ...]:
        """Everything that has a mount point, parents before children (mount order)."""
        groups: dict[Volume, str] = {volume: group.name for group in self.groups for volume in group.volumes}
        found = (fs for volume in self.volumes() for fs in _file_systems(volume, groups.get(volume, "")))
        return tuple(sorted(found, key=lambda fs: mount_key(fs.mount_point)))


def _file_systems(volume: Volume, group: str) -> Iterator[FileSystem]:
    if volume.role is PartitionRole.SWAP:
        return
    name = volume.name if isinstance(volume, LogicalVolume) else ""
    whole = (Subvolume("", volume.mount_point),)
    for subvolume in volume.subvolumes or whole:
        if subvolume.mount_point:
            yield FileSystem(
                subvolume.mount_point,
                volume.fs_type,
                volume.uuid,
                volume.label,
                group=group,
                name=name,
                subvolume=subvolume.path,
                mounted=subvolume.mounted,
                options=volume.options,
            )
