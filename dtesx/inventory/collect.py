"""One look at the machine, container or namespace that this process runs in."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dtesx.base.run import run
from dtesx.inventory import blocks, network, system
from dtesx.inventory.blocks import Block, Mount
from dtesx.model.inventory import Inventory
from dtesx.model.storage import BlockDevice, DeviceKind, FileSystem, Swap


def collect() -> Inventory:
    """Look at this machine. Only disks that hold mounted file systems are listed.

    In a namespace lsblk shows all disks of the host: what is mounted tells which are ours.
    Raises CommandFailed when a tool is missing or fails.
    """
    devices = blocks.read_blocks()
    mounts = blocks.whole_mounts(blocks.read_mounts())
    file_systems = tuple(_identified(fs) for fs in file_systems_of(mounts, devices))
    used = {fs.disk for fs in file_systems}
    return Inventory(
        hostname=system.hostname(),
        os=system.operating_system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        firmware=system.firmware(),
        cpus=system.cpus(),
        memory_bytes=system.memory_bytes(),
        devices=tuple(
            BlockDevice(b.kname, b.path, DeviceKind.DISK, b.size_bytes) for b in devices if b.kname in used
        ),
        file_systems=file_systems,
        swaps=tuple(_identified_swap(swap) for swap in _swaps(devices, used)),
        nics=network.read_nics(),
    )


def file_systems_of(mounts: Iterable[Mount], devices: Iterable[Block]) -> tuple[FileSystem, ...]:
    """Join mounts with their block devices; a mount without one (a network or FUSE one) is left out."""
    listed = tuple(devices)
    found = []
    for mount in mounts:
        block = blocks.block_of(mount, listed)
        if block is not None:
            found.append(_file_system(mount, block))
    return tuple(found)


def _file_system(mount: Mount, block: Block) -> FileSystem:
    return FileSystem(
        mount_point=mount.target,
        device=block.path,
        disk=block.disk,
        type=mount.fs_type,
        uuid=mount.uuid or block.uuid,
        label=mount.label or block.label,
        size_bytes=block.size_bytes or mount.size_bytes,
        used_bytes=mount.used_bytes,
        options=mount.options,
        stack=block.stack,
        subvolume=mount.subvolume,
    )


def _swaps(devices: Iterable[Block], disks: set[str]) -> tuple[Swap, ...]:
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return swaps_of([line.split()[0] for line in lines if line.split()], devices, disks)


def swaps_of(active: Iterable[str], devices: Iterable[Block], disks: set[str]) -> tuple[Swap, ...]:
    """Swap devices in use (paths as in /proc/swaps) that are on the given disks; swap files are not."""
    by_path = {name: b for b in devices for name in (b.path, f"/dev/{b.kname}")}
    found = (by_path.get(path) for path in active)
    return tuple(
        Swap(device=b.path, uuid=b.uuid, size_bytes=b.size_bytes, label=b.label, disk=b.disk)
        for b in found
        if b is not None and b.disk in disks
    )


def _identified(fs: FileSystem) -> FileSystem:
    """Read UUID and label from the device itself where udev has not recorded them."""
    if fs.uuid:
        return fs
    values = _probe(fs.device)
    return replace(fs, uuid=values.get("UUID", ""), label=values.get("LABEL", fs.label))


def _identified_swap(swap: Swap) -> Swap:
    if swap.uuid:
        return swap
    values = _probe(swap.device)
    return replace(swap, uuid=values.get("UUID", ""), label=values.get("LABEL", swap.label))


def _probe(device: str) -> dict[str, str]:
    done = run(["blkid", "--probe", "--output", "export", device], ok=(0, 2))
    return dict(line.split("=", 1) for line in done.text.splitlines() if "=" in line)
