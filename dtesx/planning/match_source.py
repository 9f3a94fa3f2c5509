"""The strategy match-source: one disk for each disk of the source that holds something protected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dtesx.base.errors import UsageError
from dtesx.model import storage
from dtesx.model.inventory import Firmware, Inventory
from dtesx.model.layout import PartitionRole, VolumeGroup
from dtesx.model.replica import DiskSpec, ReplicaSpec, checked_size
from dtesx.planning.drafts import BIOS_BOOT, Draft, Wanted, draft, logical_volume, physical_volume, wanted
from dtesx.planning.workload import Volume, Workload

_WHOLE = (storage.DeviceKind.DISK, storage.DeviceKind.LOOP, storage.DeviceKind.MULTIPATH)


@dataclass(frozen=True)
class _Member:
    """A physical volume with the disk that it is on."""

    disk: str
    wanted: Wanted


def drafts(
    inventory: Inventory,
    workload: Workload,
    replica: ReplicaSpec,
    firmware: Firmware,
    existing: Mapping[str, int],
) -> list[Draft]:
    """The disk that starts the replica, then the others in the source's order; each as large as the source's.

    File systems come in the inventory's order, then swap, then physical volumes. Swap on a disk that
    holds nothing else goes to the first disk, as does swap whose disk is not known. ``existing`` tells the
    bytes of existing disks by their paths.
    Raises UsageError for disks that the job names and nobody needs, for new and existing ones mixed, and
    for physical volumes that are whole disks.
    """
    members = list(_physical_volumes(inventory, workload))
    names = _order(inventory, workload, members, firmware)
    _check_options(replica.storage.disks, names)
    sizes = {disk.name: disk.size_bytes for disk in inventory.disks}
    found = []
    for name in names:
        spec = replica.storage.disks.get(name, DiskSpec())
        found.append(
            draft(
                replica,
                spec,
                name,
                tuple(_on(name, names, workload, members, firmware)),
                existing=spec.existing,
                found_bytes=existing.get(spec.existing, 0),
                source_bytes=sizes.get(name, 0),
                size_bytes=checked_size("size", spec.size),
                field=f"replica.storage.disks.{name}.size",
            )
        )
    return found


def groups(workload: Workload) -> tuple[VolumeGroup, ...]:
    """The volume groups as they are on the source, with the logical volumes that are protected.

    Raises UsageError where these need more than the group has, as thin ones can.
    """
    return tuple(_group(group, workload.within(group.name)) for group in workload.groups)


def _group(group: storage.VolumeGroup, volumes: tuple[Volume, ...]) -> VolumeGroup:
    made = tuple(logical_volume(volume, group.extent_bytes) for volume in volumes)
    if sum(volume.size_bytes for volume in made) > group.size_bytes:
        raise UsageError(
            f"the volumes of {group.name} promise more space than the volume group has",
            hint="choose replica.storage.strategy per-volume, which makes the group as large as they are",
        )
    return VolumeGroup(group.name, group.extent_bytes, group.size_bytes, made)


def _physical_volumes(inventory: Inventory, workload: Workload) -> Iterator[_Member]:
    for group in workload.groups:
        for member in group.physical_volumes:
            device = inventory.device(member.device)
            below = inventory.disks_below(member.device)
            if device is None or not below:
                raise UsageError(
                    f"the volume group {group.name} lacks the physical volume {member.device}",
                    hint="repair the group on the source, or choose replica.storage.strategy per-volume",
                )
            if device.kind in _WHOLE:
                raise UsageError(
                    f"{member.device} is a physical volume without a partition, as match-source cannot make",
                    hint="choose replica.storage.strategy per-volume",
                )
            usable = member.size_bytes // group.extent_bytes * group.extent_bytes
            yield _Member(below[0].name, physical_volume(group.name, usable))


def _order(
    inventory: Inventory, workload: Workload, members: Sequence[_Member], firmware: Firmware
) -> list[str]:
    first = _first_disk(workload, members, firmware)
    used = {volume.disk for volume in workload.plain() if volume.role is not PartitionRole.SWAP}
    used |= {member.disk for member in members}
    listed = [disk.name for disk in inventory.disks if disk.name in used]
    unlisted = sorted(used.difference(listed))
    return [first, *(name for name in listed + unlisted if name != first)]


def _first_disk(workload: Workload, members: Sequence[_Member], firmware: Firmware) -> str:
    """The disk that starts the replica: with the EFI system partition, else with the system volume."""
    plain = workload.plain() if firmware is Firmware.UEFI else ()
    starter = next((v for v in plain if v.role is PartitionRole.EFI_SYSTEM), workload.system)
    return next((m.disk for m in members if starter.group == m.wanted.group), starter.disk)


def _on(
    name: str, names: Sequence[str], workload: Workload, members: Sequence[_Member], firmware: Firmware
) -> Iterator[Wanted]:
    """The partitions of one disk."""
    first = name == names[0]
    if first and firmware is Firmware.BIOS:
        yield BIOS_BOOT
    swaps = [v for v in workload.plain() if v.role is PartitionRole.SWAP]
    yield from (wanted(v) for v in workload.plain() if v not in swaps and v.disk == name)
    yield from (wanted(v) for v in swaps if v.disk == name or (first and v.disk not in names))
    yield from (member.wanted for member in members if member.disk == name)


def _check_options(options: Mapping[str, DiskSpec], names: Sequence[str]) -> None:
    for name in options:
        if name not in names:
            raise UsageError(
                f"replica.storage.disks: no protected volume of the source is on a disk {name}",
                hint=f"its disks are: {', '.join(names)}",
            )
    existing = [name for name in names if name in options and options[name].existing]
    if existing and len(existing) < len(names):
        rest = next(name for name in names if name not in existing)
        raise UsageError(
            f"replica.storage.disks: {existing[0]} is an existing disk and {rest} a new one",
            hint="with match-source use existing disks for all, or new ones for all",
        )
