"""Which disks and partitions a replica gets. Pure: inventory in, layout out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Firmware, Inventory
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.storage import FileSystem, Swap

FILE_SYSTEM_TYPES = ("ext2", "ext3", "ext4", "xfs", "btrfs")
"""File systems that can be made with the source's UUID and written by a mirror."""

_BELOW = frozenset({"disk", "part", "loop"})
_BIOS_BOOT_BYTES = MIB
_TAIL_BYTES = MIB  # the backup GPT takes the last 33 sectors


@dataclass(frozen=True)
class _Wanted:
    """A partition before it has a place."""

    role: PartitionRole
    size_bytes: int
    fs_type: str = ""
    uuid: str = ""
    label: str = ""
    mount_point: str = ""


def plan_layout(inventory: Inventory) -> Layout:
    """One disk for each source disk that holds a file system, the root file system's disk first.

    File systems become partitions at least as large as they are on the source, in the inventory's
    order, then the swap partitions (on the root's disk when the inventory does not tell theirs);
    everything is aligned to 1 MiB. Raises UsageError for what no replica can be made of yet.
    """
    _check(inventory)
    disks = tuple(
        _place(index, _wanted(inventory, name, first=index == 0))
        for index, name in enumerate(_disk_order(inventory))
    )
    return Layout(firmware=inventory.firmware, disks=disks)


def _disk_order(inventory: Inventory) -> list[str]:
    root = next(fs.disk for fs in inventory.file_systems if fs.mount_point == "/")
    used = {fs.disk for fs in inventory.file_systems}
    listed = [disk.name for disk in inventory.disks if disk.name in used]
    unlisted = sorted(used.difference(listed))
    return [root, *(name for name in listed + unlisted if name != root)]


def _wanted(inventory: Inventory, disk: str, *, first: bool) -> list[_Wanted]:
    wanted = [_Wanted(PartitionRole.BIOS_BOOT, _BIOS_BOOT_BYTES)] if first else []
    wanted += [_file_system(fs) for fs in inventory.file_systems if fs.disk == disk]
    known = {fs.disk for fs in inventory.file_systems}
    for swap in inventory.swaps:
        if swap.disk == disk or (first and swap.disk not in known):
            wanted.append(_Wanted(PartitionRole.SWAP, swap.size_bytes, "swap", swap.uuid, swap.label))
    return wanted


def _file_system(fs: FileSystem) -> _Wanted:
    return _Wanted(PartitionRole.FILE_SYSTEM, fs.size_bytes, fs.type, fs.uuid, fs.label, fs.mount_point)


def _place(index: int, wanted: Iterable[_Wanted]) -> DiskLayout:
    partitions: list[Partition] = []
    start = MIB
    for number, want in enumerate(wanted, start=1):
        size = max(MIB, -(-want.size_bytes // MIB) * MIB)
        partitions.append(
            Partition(number, want.role, start, size, want.fs_type, want.uuid, want.label, want.mount_point)
        )
        start += size
    return DiskLayout(index, start + _TAIL_BYTES, tuple(partitions))


def _check(inventory: Inventory) -> None:
    if inventory.firmware is Firmware.UEFI:
        raise UsageError(
            "UEFI sources are not supported yet", hint="protect a source that starts by BIOS for now"
        )
    if inventory.file_system("/") is None:
        raise UsageError(
            "the source's root file system is not on a local disk",
            hint="only servers whose / is a local ext, xfs or btrfs file system can be protected",
        )
    for fs in inventory.file_systems:
        _check_file_system(fs)
    _check_unique(inventory.file_systems, inventory.swaps)


def _check_file_system(fs: FileSystem) -> None:
    where = f"{fs.mount_point} ({fs.device})"
    if fs.type not in FILE_SYSTEM_TYPES:
        raise UsageError(
            f"{where}: {fs.type} file systems are not supported yet",
            hint=f"unmount it, or move its data to one of: {', '.join(FILE_SYSTEM_TYPES)}",
        )
    strange = [layer for layer in fs.stack if layer not in _BELOW]
    if strange:
        raise UsageError(
            f"{where}: file systems on {' on '.join(strange)} are not supported yet",
            hint="only file systems directly on disks and partitions can be protected for now",
        )
    if fs.subvolume not in ("", "/"):
        raise UsageError(
            f"{where}: btrfs subvolumes ({fs.subvolume}) are not supported yet",
            hint="only btrfs file systems mounted whole can be protected for now",
        )
    if not fs.uuid:
        raise UsageError(
            f"{where}: the file system has no readable UUID",
            hint="check that dtesx may read the device on the source (blkid -p), then try again",
        )


def _check_unique(file_systems: Iterable[FileSystem], swaps: Iterable[Swap]) -> None:
    seen: dict[str, str] = {}
    pairs = [(fs.uuid, fs.mount_point) for fs in file_systems]
    pairs += [(swap.uuid, swap.device) for swap in swaps if swap.uuid]
    for uuid, name in pairs:
        if uuid in seen:
            raise UsageError(
                f"{seen[uuid]} and {name} have the same UUID {uuid}",
                hint="give one of them a new UUID on the source (tune2fs -U, xfs_admin -U, swaplabel -U)",
            )
        seen[uuid] = name
