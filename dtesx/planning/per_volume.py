"""The strategy per-volume: a disk for each file system, and as many as needed for each volume group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dtesx.base.errors import UsageError
from dtesx.model import scsi
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, LogicalVolume, PartitionRole, VolumeGroup
from dtesx.model.replica import DiskSpec, GroupSpec, ReplicaSpec, checked_size
from dtesx.planning.drafts import (
    BIOS_BOOT,
    MAX_DISK_BYTES,
    Draft,
    Wanted,
    draft,
    logical_volume,
    physical_volume,
    rest_bytes,
    up,
    usable_bytes,
    wanted,
)
from dtesx.planning.workload import Volume, Workload

_FIELD = "replica.storage"


def drafts(
    workload: Workload, replica: ReplicaSpec, firmware: Firmware, existing: Mapping[str, int]
) -> list[Draft]:
    """The disk that starts the replica, then the others in the workload's order, volume groups last.

    The first has the EFI system partition and the swap partitions, too. ``existing`` tells the bytes of
    existing disks by their paths. Raises UsageError for names that the workload does not have, for sizes
    that are too small, and for too many disks.
    """
    _check_names(workload, replica)
    system = workload.system
    alone = [v for v in workload.plain() if v.role is PartitionRole.FILE_SYSTEM]
    before = [BIOS_BOOT] if firmware is Firmware.BIOS else []
    before += [wanted(v, _size(v, replica)) for v in workload.plain() if v not in alone]
    disks = [_alone(v, replica, before if v is system else (), existing) for v in alone]
    for group in groups(workload, replica):
        disks += _group(group, replica, before if group.name == system.group else ())
    leading = system.group or system.title
    return sorted(disks, key=lambda disk: disk.holds != leading)


def groups(workload: Workload, replica: ReplicaSpec) -> tuple[VolumeGroup, ...]:
    """The volume groups with the sizes that the job gives them, at least as large as their volumes."""
    found = []
    for source in workload.groups:
        spec = replica.storage.groups.get(source.name, GroupSpec())
        extent = source.extent_bytes
        volumes = tuple(_logical_volume(v, spec, extent) for v in workload.within(source.name))
        least = sum(volume.size_bytes for volume in volumes)
        asked = up(checked_size("size", spec.size), extent)
        if asked and asked < least:
            raise UsageError(
                f"{_FIELD}.groups.{source.name}.size: the logical volumes need {least // MIB} MiB",
                hint="give the group that much, or its volumes less (volumes)",
            )
        size = asked or max(up(source.size_bytes, extent), least)
        found.append(VolumeGroup(source.name, extent, size, volumes))
    return tuple(found)


def _alone(
    volume: Volume, replica: ReplicaSpec, before: Sequence[Wanted], existing: Mapping[str, int]
) -> Draft:
    """The volume takes what it is given, or all that others leave of an existing disk."""
    spec = replica.storage.partitions.get(volume.title, DiskSpec())
    size, found = _size(volume, replica), existing.get(spec.existing, 0)
    if found:
        size = max(1, rest_bytes(found, before))
        _check_used(volume, size, f"{_FIELD}.partitions.{volume.title}.existing")
    content = [*before, wanted(volume, size)]
    return draft(replica, spec, volume.title, content, existing=spec.existing, found_bytes=found)


def _group(group: VolumeGroup, replica: ReplicaSpec, before: Sequence[Wanted]) -> Iterator[Draft]:
    spec = replica.storage.groups.get(group.name, GroupSpec())
    for number, part in enumerate(_parts(group, spec, sum(up(want.size_bytes, MIB) for want in before))):
        content = [*(before if number == 0 else ()), physical_volume(group.name, part)]
        existing = spec.existing[number] if spec.existing else ""
        yield draft(replica, spec, group.name, content, existing=existing)


def _parts(group: VolumeGroup, spec: GroupSpec, before_bytes: int) -> Iterator[int]:
    """How much of the group each of its disks holds; the first one has so many other bytes, too."""
    if spec.existing:
        share = up(-(-group.size_bytes // len(spec.existing)), group.extent_bytes)
        yield from (share for _ in spec.existing)
        return
    disk = min(checked_size("disk_size", spec.disk_size) or MAX_DISK_BYTES, MAX_DISK_BYTES)
    part = usable_bytes(disk - before_bytes, group.extent_bytes)
    usual = usable_bytes(disk, group.extent_bytes)
    most = scsi.max_disks(scsi.LARGE_HARDWARE)
    if part == 0 or group.size_bytes > usual * most:
        raise UsageError(
            f"{_FIELD}.groups.{group.name}.disk_size: more than {most} disks would be needed",
            hint="give the group larger disks",
        )
    left = group.size_bytes
    while left > 0:
        yield min(part, left)
        left -= part
        part = usual


def _logical_volume(volume: Volume, spec: GroupSpec, extent_bytes: int) -> LogicalVolume:
    field = f"{_FIELD}.groups.{volume.group}.volumes.{volume.name}"
    size = checked_size(field, spec.volumes.get(volume.name, ""))
    _check_used(volume, size, field)
    return logical_volume(volume, extent_bytes, size)


def _size(volume: Volume, replica: ReplicaSpec) -> int:
    """The size that the job gives a partition, 0 for the source's."""
    spec = replica.storage.partitions.get(volume.title, DiskSpec())
    size = checked_size("size", spec.size)
    _check_used(volume, size, f"{_FIELD}.partitions.{volume.title}.size")
    return size


def _check_used(volume: Volume, size: int, field: str) -> None:
    if size and size < volume.used_bytes:
        raise UsageError(
            f"{field}: {volume.title} has {up(volume.used_bytes, MIB) // MIB} MiB in use on the source",
            hint="give it more than that; 5 GiB more leave room for what a file system needs itself",
        )


def _check_names(workload: Workload, replica: ReplicaSpec) -> None:
    storage = replica.storage
    partitions = {volume.title: volume for volume in workload.plain()}
    _check_known("partitions", storage.partitions, partitions)
    _check_known("groups", storage.groups, [group.name for group in workload.groups])
    for name, spec in storage.groups.items():
        _check_known(f"groups.{name}.volumes", spec.volumes, [v.name for v in workload.within(name)])
    for title, disk in storage.partitions.items():
        beside = partitions[title].role is not PartitionRole.FILE_SYSTEM
        if beside and (disk.datastore or disk.format is not None or disk.existing):
            raise UsageError(
                f"{_FIELD}.partitions.{title}: it shares the disk that starts the replica",
                hint="give it a size only; datastore and format are those of that disk's volume",
            )


def _check_known(field: str, named: Iterable[str], known: Collection[str]) -> None:
    for name in named:
        if name not in known:
            raise UsageError(
                f"{_FIELD}.{field}: nothing that is protected is called {name}",
                hint=f"there are: {', '.join(known) or 'none'}",
            )
