"""Block devices: the JSON of lsblk(8) and sfdisk(8) into devices. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dtesx.model.storage import (
    BlockDevice,
    Content,
    DeviceKind,
    DiskFacts,
    PartitionFacts,
    RaidFacts,
    TableKind,
)

COLUMNS = "NAME,KNAME,TYPE,SIZE,MAJ:MIN,RO,RM,ROTA,LOG-SEC,FSTYPE,UUID,LABEL,MODEL,SERIAL,WWN,TRAN"
"""Columns that every lsblk with ``--json`` and ``--paths`` knows (util-linux 2.30)."""

_KINDS = {
    "disk": DeviceKind.DISK,
    "part": DeviceKind.PARTITION,
    "lvm": DeviceKind.LOGICAL_VOLUME,
    "crypt": DeviceKind.ENCRYPTED,
    "mpath": DeviceKind.MULTIPATH,
    "loop": DeviceKind.LOOP,
}
_TABLES = {"gpt": TableKind.GPT, "dos": TableKind.MBR}
_MD = re.compile(r"md(\d+|_\w+)")
_NOT_STORAGE = re.compile(r"(zram|fd|ram|sr)\d+")  # memory, and drives without a medium of their own
_TRUE = (True, 1, "1", "true")  # lsblk before 2.33 has strings where later ones have numbers and booleans


@dataclass(frozen=True)
class Block:
    """A device as lsblk shows it; ``stack`` are the layer types from the whole disk up to it.

    ``number`` is major:minor, ``disk`` the kernel name of the first disk below.
    """

    device: BlockDevice
    number: str
    disk: str
    stack: tuple[str, ...]


def parse_blocks(text: str) -> tuple[Block, ...]:
    """All block devices in lsblk's JSON (``--json --bytes --paths``), each once and after those below it."""
    found: dict[str, Block] = {}
    for top in json.loads(text)["blockdevices"]:
        for block in _walk(top, ()):
            known = found.setdefault(block.device.name, block)
            below = dict.fromkeys((*known.device.below, *block.device.below))
            found[known.device.name] = replace(known, device=replace(known.device, below=tuple(below)))
    depths = _depths(found)
    return tuple(sorted(found.values(), key=lambda block: depths[block.device.name]))


def _walk(node: Mapping[str, Any], below: tuple[Block, ...]) -> Iterator[Block]:
    name = _name(str(node["kname"]))
    if _NOT_STORAGE.fullmatch(name) or node["type"] == "rom" or not int(node["size"] or 0):
        return
    stack = (*(below[-1].stack if below else ()), str(node["type"]))
    block = Block(
        device=_device(node, name, tuple(b.device.name for b in below[-1:])),
        number=str(node["maj:min"]).strip(),
        disk=below[0].device.name if below else name,
        stack=stack,
    )
    yield block
    for child in node.get("children", ()):
        yield from _walk(child, (*below, block))


def _name(path: str) -> str:
    return path.removeprefix("/dev/")


def _device(node: Mapping[str, Any], name: str, below: tuple[str, ...]) -> BlockDevice:
    kind = _kind(str(node["type"]), name, below)
    return BlockDevice(
        name=name,
        path=str(node["name"]),
        kind=kind,
        size_bytes=int(node["size"]),
        below=below,
        content=Content(_text(node, "fstype"), _text(node, "uuid"), _text(node, "label")),
        read_only=node.get("ro") in _TRUE,
        disk=_disk(node) if kind in (DeviceKind.DISK, DeviceKind.MULTIPATH) else None,
    )


def _kind(type_: str, name: str, below: tuple[str, ...]) -> DeviceKind:
    if _MD.fullmatch(name):
        return DeviceKind.RAID
    if type_ == "disk" and below:
        return DeviceKind.MAPPED  # DRBD and bcache call themselves disks
    return _KINDS.get(type_, DeviceKind.MAPPED)


def _disk(node: Mapping[str, Any]) -> DiskFacts:
    return DiskFacts(
        model=_text(node, "model"),
        serial=_text(node, "serial"),
        wwn=_text(node, "wwn"),
        transport=_text(node, "tran"),
        rotational=node.get("rota") in _TRUE,
        removable=node.get("rm") in _TRUE,
        sector_bytes=int(node.get("log-sec") or 512),
    )


def _text(node: Mapping[str, Any], key: str) -> str:
    return str(node.get(key) or "").strip()


def _depths(blocks: Mapping[str, Block]) -> dict[str, int]:
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            below = blocks[name].device.below
            depths[name] = 1 + max((depth(other) for other in below), default=-1)
        return depths[name]

    for name in blocks:
        depth(name)
    return depths


def may_have_table(device: BlockDevice) -> bool:
    """Whether the device can hold a partition table: a disk or what stands for one, without other content."""
    kinds = (DeviceKind.DISK, DeviceKind.LOOP, DeviceKind.MULTIPATH, DeviceKind.RAID)
    return device.kind in kinds and not device.content.type


def with_tables(devices: Sequence[BlockDevice], tables: Mapping[str, str]) -> tuple[BlockDevice, ...]:
    """Add what ``sfdisk --json`` tells: ``tables`` has its output by the disk's kernel name.

    A table's entry belongs to the partition with the same number on that disk, whatever the two are
    called (``/dev/mapper/mpatha1`` is ``/dev/mapper/mpatha-part1`` elsewhere).
    """
    parsed = {name: json.loads(text)["partitiontable"] for name, text in tables.items() if text.strip()}
    return tuple(_with_table(device, parsed) for device in devices)


def _with_table(device: BlockDevice, tables: Mapping[str, Mapping[str, Any]]) -> BlockDevice:
    own = tables.get(device.name)
    if own is not None:
        facts = replace(
            device.disk or DiskFacts(),
            table=_TABLES.get(str(own["label"]), TableKind.OTHER),
            table_id=str(own.get("id", "")),
        )
        return replace(device, disk=facts)
    if device.kind is not DeviceKind.PARTITION or not device.below:
        return device
    table = tables.get(device.below[0], {})
    entries = {_number(str(entry["node"])): entry for entry in table.get("partitions", ())}
    number = _number(device.path)
    entry = entries.get(number)
    if entry is None:
        return device
    return replace(device, partition=_partition(number, entry, table))


def _partition(number: int, entry: Mapping[str, Any], table: Mapping[str, Any]) -> PartitionFacts:
    return PartitionFacts(
        number=number,
        start_bytes=int(entry["start"]) * int(table.get("sectorsize", 512)),
        type=str(entry["type"]).upper(),
        uuid=str(entry.get("uuid") or _mbr_uuid(number, table)).lower(),
        label=str(entry.get("name", "")),
        bootable=entry.get("bootable") in _TRUE or "LegacyBIOSBootable" in str(entry.get("attrs", "")),
    )


def _mbr_uuid(number: int, table: Mapping[str, Any]) -> str:
    """What stands for a UUID where there is none: the disk's signature and the number (the kernel's rule)."""
    return f"{str(table['id']).removeprefix('0x')}-{number:02x}" if table["label"] == "dos" else ""


def _number(path: str) -> int:
    found = re.search(r"\d+$", path)
    return int(found[0]) if found else 0


def with_arrays(
    devices: Iterable[BlockDevice], arrays: Mapping[str, Mapping[str, str]]
) -> tuple[BlockDevice, ...]:
    """Add what sysfs tells of MD arrays: ``arrays`` has its files (md(4), SYSFS) by kernel name."""
    return tuple(
        replace(device, raid=_raid(arrays[device.name])) if device.name in arrays else device
        for device in devices
    )


def _raid(files: Mapping[str, str]) -> RaidFacts:
    return RaidFacts(
        level=files.get("level", ""),
        metadata=files.get("metadata_version", ""),
        members=int(files.get("raid_disks") or 0),
        missing=int(files.get("degraded") or 0),
        chunk_bytes=int(files.get("chunk_size") or 0),
    )


def relevant(blocks: Sequence[Block], used: Iterable[str], *, whole_machine: bool) -> tuple[BlockDevice, ...]:
    """The devices that belong to the source: all, or only those below the used ones (kernel names).

    Loop devices show what lies in files, so they count only when they are used. A namespace sees
    the disks of its host; there only those count that its own mounts are on.
    """
    wanted = set(used)
    for block in reversed(blocks):
        if block.device.name in wanted:
            wanted.update(block.device.below)
    return tuple(
        block.device
        for block in blocks
        if block.device.name in wanted or (whole_machine and block.stack[0] != "loop")
    )
