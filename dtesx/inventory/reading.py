"""What the tools of this machine say, and nothing more: ``assembling`` makes sense of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.run import run
from dtesx.inventory import lvm, superblocks
from dtesx.inventory.assembling import Readings, backing, swap_blocks, with_contents
from dtesx.inventory.blocks import COLUMNS, Block, may_have_table, parse_blocks, relevant
from dtesx.inventory.mounts import (
    Mount,
    find_all_mounts,
    find_fstab,
    find_mounts,
    parse_mounts,
    whole_mounts,
)
from dtesx.inventory.system import is_whole_machine
from dtesx.model.storage import BlockDevice, DeviceKind

_RAID_FILES = ("level", "metadata_version", "raid_disks", "degraded", "chunk_size")


class Notes:
    """Sentences about what could not be read. One missing tool must not hide all the rest."""

    def __init__(self) -> None:
        self._sentences: list[str] = []

    def add(self, sentence: str) -> None:
        """Keep a sentence, once."""
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of them, in the order in which they came."""
        return tuple(self._sentences)


def read_storage(notes: Notes) -> Readings:
    """Ask lsblk and findmnt, then the tools for what these find. Raises CommandFailed when those two fail."""
    lsblk = run(["lsblk", "--json", "--bytes", "--paths", "--output", COLUMNS]).text
    sized, swaps = find_mounts(), Path("/proc/swaps").read_text()
    whole = is_whole_machine()
    mounts = whole_mounts(parse_mounts(sized))
    found = parse_blocks(lsblk)
    carrying = backing(mounts, found)
    used = (*carrying, *swap_blocks(swaps, found, mounts, whole_machine=whole))
    names = [block.device.name for block in used]
    probed = _probe(_untold(relevant(found, names, whole_machine=whole), names), notes)
    blocks = with_contents(found, probed)
    devices = relevant(blocks, names, whole_machine=whole)
    return Readings(
        lsblk=lsblk,
        mounts=sized,
        all_mounts=find_all_mounts(),
        fstab=find_fstab(),
        swaps=swaps,
        whole_machine=whole,
        probed=probed,
        tables=_tables(devices, notes),
        arrays={d.name: _array(d.name) for d in devices if d.kind is DeviceKind.RAID},
        lvm=_lvm(devices, notes),
        heads=dict(_heads(carrying, notes)),
        subvolumes=_subvolumes(mounts, blocks, notes),
    )


def _untold(devices: Sequence[BlockDevice], used: Sequence[str]) -> list[str]:
    """The devices of whose content lsblk tells too little.

    Without udev it tells nothing, of a device that is used or that nothing lies on. The version of
    LUKS it never tells.
    """
    below = {name for device in devices for name in device.below}
    return [
        device.path
        for device in devices
        if device.content.type == "crypto_LUKS"
        or (not device.content.uuid and (device.name in used or device.name not in below))
    ]


def _probe(paths: Iterable[str], notes: Notes) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        try:
            # Status 2: there is nothing that blkid knows; 8: several things, so it names none.
            found[path] = run(["blkid", "--probe", "--output", "export", path], ok=(0, 2, 8)).text
        except CommandFailed as error:
            notes.add(f"what is on {path} was not read: {error.message}")
    return found


def _tables(devices: Iterable[BlockDevice], notes: Notes) -> dict[str, str]:
    tables: dict[str, str] = {}
    for device in devices:
        if may_have_table(device):
            try:
                # Status 1: there is no partition table.
                tables[device.name] = run(["sfdisk", "--json", device.path], ok=(0, 1)).text
            except CommandFailed as error:
                notes.add(f"partition tables were not read: {error.message}")
    return tables


def _array(name: str) -> Mapping[str, str]:
    directory = Path("/sys/class/block") / name / "md"
    files = {file: directory / file for file in _RAID_FILES}
    return {file: path.read_text().strip() for file, path in files.items() if path.is_file()}


def _lvm(devices: Iterable[BlockDevice], notes: Notes) -> str:
    if not any(device.content.type == "LVM2_member" for device in devices):
        return ""
    try:
        return run(lvm.REPORT).text
    except CommandFailed as error:
        notes.add(f"volume groups were not read: {error.message}")
        return ""


def _heads(blocks: Iterable[Block], notes: Notes) -> Iterable[tuple[str, bytes]]:
    for block in blocks:
        path = block.device.path
        try:
            with open(path, "rb") as device:
                yield path, device.read(superblocks.LENGTH)
        except OSError as error:
            notes.add(f"the superblock on {path} was not read: {error.strerror}")


def _subvolumes(
    mounts: Iterable[Mount], blocks: Sequence[Block], notes: Notes
) -> dict[str, tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    for mount in mounts:
        uuid = mount.uuid or next((b.device.content.uuid for b in backing([mount], blocks)), "")
        if mount.fs_type != "btrfs" or uuid in found:
            continue
        try:
            default = run(["btrfs", "subvolume", "get-default", mount.target]).text
            found[uuid] = (_list(mount.target), _list(mount.target, "-s"), default)
        except CommandFailed as error:
            notes.add(f"the subvolumes of {mount.target} were not read: {error.message}")
    return found


def _list(directory: str, *options: str) -> str:
    return run(["btrfs", "subvolume", "list", "-a", *options, directory]).text
