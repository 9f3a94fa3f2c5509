"""Disks before they have a place: what is wanted on each, and how that becomes partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dtesx.base.errors import UsageError
from dtesx.model import scsi
from dtesx.model.layout import (
    MIB,
    TIB,
    DiskFormat,
    DiskLayout,
    LogicalVolume,
    Partition,
    PartitionRole,
    Subvolume,
)
from dtesx.model.replica import DiskSpec, GroupSpec, ReplicaSpec, datastore_of
from dtesx.model.storage import Format
from dtesx.planning.workload import Volume

MAX_DISK_BYTES = 62 * TIB
"""The largest virtual disk on VMFS 5 and 6 and on NFS (VMware configuration maximums)."""

PHYSICAL_VOLUME_BYTES = MIB
"""What LVM keeps at the start of a physical volume (pvcreate(8): data begin at 1 MiB)."""

_TAIL_BYTES = MIB  # the backup GPT takes the last 33 sectors
_BIOS_BOOT_BYTES = MIB
# What mkfs.xfs (from 5.19 on) and mkfs.btrfs make at all; sources may have smaller ones from older days.
_LEAST_BYTES = {"xfs": 300 * MIB, "btrfs": 128 * MIB}


@dataclass(frozen=True)
class Wanted:
    """A partition before it has a place."""

    role: PartitionRole
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
class Draft:
    """A disk before it has a place. ``holds`` and ``existing``: see DiskLayout.

    ``source_bytes`` is the size that it has unless more is needed; ``size_bytes`` the one that the job
    asks for, in the field ``field``, 0 when it does not. ``found_bytes`` is that of an existing disk.
    """

    holds: str
    wanted: tuple[Wanted, ...]
    datastore: str
    format: DiskFormat
    source_bytes: int = 0
    size_bytes: int = 0
    field: str = ""
    existing: str = ""
    found_bytes: int = 0


BIOS_BOOT = Wanted(PartitionRole.BIOS_BOOT, _BIOS_BOOT_BYTES)


def draft(
    replica: ReplicaSpec,
    spec: DiskSpec | GroupSpec,
    holds: str,
    content: Sequence[Wanted],
    *,
    existing: str = "",
    found_bytes: int = 0,
    source_bytes: int = 0,
    size_bytes: int = 0,
    field: str = "",
) -> Draft:
    """A disk on the datastore and in the format that its options say, or those of the whole replica."""
    return Draft(
        holds,
        tuple(content),
        datastore=datastore_of(existing) or spec.datastore or replica.datastore,
        format=spec.format or replica.disk_format,
        source_bytes=source_bytes,
        size_bytes=size_bytes,
        field=field,
        existing=existing,
        found_bytes=found_bytes,
    )


def wanted(volume: Volume, size_bytes: int = 0) -> Wanted:
    """A partition for a volume, as large as on the source or with another size."""
    return Wanted(
        volume.role,
        _size_of(volume, size_bytes),
        volume.fs_type,
        volume.uuid,
        volume.label,
        volume.mount_point,
        subvolumes=volume.subvolumes,
        options=volume.options,
        format=volume.format,
    )


def logical_volume(volume: Volume, extent_bytes: int, size_bytes: int = 0) -> LogicalVolume:
    """A logical volume for a volume in whole extents, as large as on the source or with another size."""
    return LogicalVolume(
        volume.name,
        volume.role,
        up(_size_of(volume, size_bytes), extent_bytes),
        volume.fs_type,
        volume.uuid,
        volume.label,
        volume.mount_point,
        subvolumes=volume.subvolumes,
        options=volume.options,
        format=volume.format,
    )


def _size_of(volume: Volume, size_bytes: int) -> int:
    return max(size_bytes or volume.size_bytes, _LEAST_BYTES.get(volume.fs_type, 0))


def physical_volume(group: str, usable_bytes: int) -> Wanted:
    """A partition that gives a volume group so many bytes of extents."""
    return Wanted(PartitionRole.PHYSICAL_VOLUME, usable_bytes + PHYSICAL_VOLUME_BYTES, group=group)


def usable_bytes(disk_bytes: int, extent_bytes: int) -> int:
    """What of a disk with one physical volume its group can use."""
    space = disk_bytes // MIB * MIB - MIB - _TAIL_BYTES - PHYSICAL_VOLUME_BYTES
    return max(0, space // extent_bytes * extent_bytes)


def rest_bytes(disk_bytes: int, before: Sequence[Wanted]) -> int:
    """What of a disk one partition can have after others; not more than 0 when these leave nothing."""
    taken = sum(max(MIB, up(want.size_bytes, MIB)) for want in before)
    return disk_bytes // MIB * MIB - MIB - _TAIL_BYTES - taken


def placed(drafts: Sequence[Draft]) -> tuple[DiskLayout, ...]:
    """The disks with their partitions, aligned to 1 MiB, each at a place of its own.

    Raises UsageError for a disk that is smaller than what is on it, or larger than a disk can be, and
    for more disks than a virtual machine has.
    """
    most = scsi.max_disks(scsi.LARGE_HARDWARE)
    if len(drafts) > most:
        raise UsageError(
            f"the replica would have {len(drafts)} disks; {most} are possible",
            hint="leave volumes out (workload.volumes), or choose the strategy match-source",
        )
    hardware = hardware_for(len(drafts))
    return tuple(
        _placed(index, draft, place)
        for index, (draft, place) in enumerate(zip(drafts, scsi.places(hardware), strict=False))
    )


def hardware_for(disks: int) -> int:
    """The virtual hardware version that so many disks need; 0 when each will do."""
    return scsi.LARGE_HARDWARE if disks > scsi.max_disks(0) else 0


def _placed(index: int, draft: Draft, place: scsi.Place) -> DiskLayout:
    partitions: list[Partition] = []
    start = MIB
    for number, want in enumerate(draft.wanted, start=1):
        size = max(MIB, up(want.size_bytes, MIB))
        partitions.append(
            Partition(
                number,
                want.role,
                start,
                size,
                want.fs_type,
                want.uuid,
                want.label,
                want.mount_point,
                want.group,
                want.subvolumes,
                want.options,
                want.format,
            )
        )
        start += size
    return DiskLayout(
        index,
        _size(draft, start + _TAIL_BYTES),
        tuple(partitions),
        datastore=draft.datastore,
        format=draft.format,
        bus=place.bus,
        unit=place.unit,
        holds=draft.holds,
        existing=draft.existing,
    )


def _size(draft: Draft, least: int) -> int:
    if draft.found_bytes:
        if draft.found_bytes < least:
            raise UsageError(
                f"the existing disk {draft.existing} has {draft.found_bytes // MIB} MiB; {draft.holds} needs "
                f"{least // MIB} MiB",
                hint="use a disk that is large enough, or a new one",
            )
        return draft.found_bytes
    if draft.size_bytes and draft.size_bytes < least:
        raise UsageError(
            f"{draft.field}: {draft.holds} needs at least {least // MIB} MiB",
            hint="give it that, or leave volumes of it out (workload.volumes)",
        )
    size = up(draft.size_bytes, MIB) or max(least, up(draft.source_bytes, MIB))
    if size > MAX_DISK_BYTES:
        raise UsageError(
            f"the disk for {draft.holds} would have {size / TIB:.1f} TiB; a virtual disk has at most 62 TiB",
            hint="give its volumes smaller sizes with the strategy per-volume (replica.storage)",
        )
    return size


def up(size: int, unit: int) -> int:
    """A size rounded up to whole units."""
    return -(-size // unit) * unit
