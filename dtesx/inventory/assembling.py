"""From what the tools said to devices, volume groups, file systems and swap. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dtesx.inventory.blocks import Block, parse_blocks, relevant, with_arrays, with_tables
from dtesx.inventory.lvm import parse_report
from dtesx.inventory.mounts import Mount, block_of, not_mounted, parse_mounts, unprotected, whole_mounts
from dtesx.inventory.subvolumes import parse_subvolumes
from dtesx.inventory.superblocks import read_format
from dtesx.model.storage import (
    BlockDevice,
    Content,
    FileSystem,
    Subvolume,
    Swap,
    Unprotected,
    VolumeGroup,
)


@dataclass(frozen=True)
class Readings:
    """The words of the tools, as they were.

    ``probed`` and ``heads`` are by the device's path, ``tables`` and ``arrays`` by its kernel name,
    ``subvolumes`` (all of them, snapshots alone, and the default one) by the file system's UUID.
    """

    lsblk: str
    mounts: str
    all_mounts: str = ""
    fstab: str = ""
    swaps: str = ""
    whole_machine: bool = True
    probed: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lvm: str = ""
    heads: Mapping[str, bytes] = field(default_factory=dict)
    subvolumes: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Storage:
    """What a source keeps its data on."""

    devices: tuple[BlockDevice, ...]
    volume_groups: tuple[VolumeGroup, ...]
    file_systems: tuple[FileSystem, ...]
    swaps: tuple[Swap, ...]
    unprotected: tuple[Unprotected, ...]


def assemble(readings: Readings) -> Storage:
    """All that the readings tell. Raises ValueError and KeyError when they are not what the tools print."""
    blocks = with_contents(parse_blocks(readings.lsblk), readings.probed)
    mounts = whole_mounts(parse_mounts(readings.mounts))
    swaps = swap_blocks(readings.swaps, blocks, mounts, whole_machine=readings.whole_machine)
    devices = relevant(
        blocks,
        [block.device.name for block in (*backing(mounts, blocks), *swaps)],
        whole_machine=readings.whole_machine,
    )
    listed = parse_mounts(readings.all_mounts)
    return Storage(
        devices=with_arrays(with_tables(devices, readings.tables), readings.arrays),
        volume_groups=_groups(readings, blocks, devices),
        file_systems=_file_systems(mounts, blocks, readings),
        swaps=tuple(_swap(block) for block in swaps),
        unprotected=(
            *unprotected(listed, mounts, blocks),
            *not_mounted(parse_mounts(readings.fstab), listed),
        ),
    )


def with_contents(blocks: Sequence[Block], probed: Mapping[str, str]) -> tuple[Block, ...]:
    """Put in what blkid found (``--output export``) where it was asked."""
    return tuple(
        replace(block, device=replace(block.device, content=_content(probed[block.device.path])))
        if block.device.path in probed
        else block
        for block in blocks
    )


def _content(text: str) -> Content:
    pairs = (line.partition("=") for line in text.splitlines())
    # blkid puts a backslash before what a shell would not leave as it is.
    values = {key: re.sub(r"\\(.)", r"\1", value) for key, _, value in pairs}
    return Content(
        values.get("TYPE", ""), values.get("UUID", ""), values.get("LABEL", ""), values.get("VERSION", "")
    )


def backing(mounts: Iterable[Mount], blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The block devices behind mounts, each once."""
    found = (block_of(mount, blocks) for mount in mounts)
    return tuple({block.device.name: block for block in found if block is not None}.values())


def swap_blocks(
    swaps: str, blocks: Sequence[Block], mounts: Iterable[Mount], *, whole_machine: bool
) -> tuple[Block, ...]:
    """The devices in /proc/swaps; in a namespace only those on disks that hold its file systems."""
    ours = {block.disk for block in backing(mounts, blocks)}
    paths = [line.split()[0] for line in swaps.splitlines()[1:] if line.split()]
    by_path = {name: b for b in blocks for name in (b.device.path, f"/dev/{b.device.name}")}
    found = (by_path.get(path) for path in paths)
    return tuple(b for b in found if b is not None and (whole_machine or b.disk in ours))


def _swap(block: Block) -> Swap:
    device = block.device
    return Swap(device.path, device.content.uuid, device.size_bytes, device.content.label, block.disk)


def _groups(
    readings: Readings, blocks: Iterable[Block], devices: Sequence[BlockDevice]
) -> tuple[VolumeGroup, ...]:
    groups = parse_report(readings.lvm, {block.number: block.device for block in blocks})
    ours = {device.path for device in devices}
    return tuple(g for g in groups if ours.intersection(volume.device for volume in g.physical_volumes))


def _file_systems(
    mounts: Iterable[Mount], blocks: Sequence[Block], readings: Readings
) -> tuple[FileSystem, ...]:
    # A mount without a block device cannot be protected, and is told among those.
    pairs = ((mount, block_of(mount, blocks)) for mount in mounts)
    return tuple(_file_system(mount, block, readings) for mount, block in pairs if block is not None)


def _file_system(mount: Mount, block: Block, readings: Readings) -> FileSystem:
    device = block.device
    uuid = mount.uuid or device.content.uuid
    return FileSystem(
        mount_point=mount.target,
        device=device.path,
        disk=block.disk,
        type=mount.fs_type,
        uuid=uuid,
        label=mount.label or device.content.label,
        size_bytes=device.size_bytes or mount.size_bytes,
        used_bytes=mount.used_bytes,
        options=mount.options,
        stack=block.stack,
        subvolume=mount.subvolume,
        format=read_format(mount.fs_type, readings.heads.get(device.path, b"")),
        subvolumes=_subvolumes(uuid, readings),
    )


def _subvolumes(uuid: str, readings: Readings) -> tuple[Subvolume, ...]:
    return parse_subvolumes(*readings.subvolumes[uuid]) if uuid in readings.subvolumes else ()
