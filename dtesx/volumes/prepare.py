"""Making what is planned on a replica's disks; repeating it changes nothing."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.base.run import run
from dtesx.model.layout import DiskLayout, Layout, PartitionRole, Volume
from dtesx.volumes import formats, lvm, subvolumes
from dtesx.volumes.mapping import release_devices, volume_nodes
from dtesx.volumes.nodes import members_of, open_partitions

log = get_logger(__name__)

_SECTOR = 512
_LOOKED_AT = 1 << 20
_NAMESPACE = uuid.UUID("b7a6f9d6-6f5e-4a55-9d0e-0f6f0a1c7c55")
_TYPES: Mapping[PartitionRole, str] = {
    PartitionRole.BIOS_BOOT: "21686148-6449-6E6F-744E-656564454649",
    PartitionRole.EFI_SYSTEM: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    PartitionRole.FILE_SYSTEM: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    PartitionRole.SWAP: "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    PartitionRole.PHYSICAL_VOLUME: "E6D6D379-F507-44C2-A23C-238F2A3DF928",
}


def disk_guid(layout: Layout, disk: DiskLayout) -> str:
    """The GPT identifier of a replica's disk: always the same for the same file systems.

    By it a disk that a killed run prepared is told from a foreign one.
    """
    held = {part.group for part in disk.partitions}
    inside = [volume.uuid for group in layout.groups if group.name in held for volume in group.volumes]
    names = [str(disk.index), *(part.uuid for part in disk.partitions), *inside]
    return str(uuid.uuid5(_NAMESPACE, "/".join(names))).upper()


def table_script(layout: Layout, disk: DiskLayout) -> str:
    """The sfdisk(8) script of the disk's GPT."""
    guid = disk_guid(layout, disk)
    lines = ["label: gpt", f"label-id: {guid}", "unit: sectors", "first-lba: 2048"]
    for part in disk.partitions:
        own = str(uuid.uuid5(uuid.UUID(guid), str(part.number))).upper()
        lines.append(
            f"{part.number} : start={part.start_bytes // _SECTOR}, size={part.size_bytes // _SECTOR}, "
            f"type={_TYPES[part.role]}, uuid={own}"
        )
    return "\n".join(lines) + "\n"


def prepare_disks(layout: Layout, devices: Sequence[Path]) -> None:
    """Give the layout's disks their partitions, volume groups, file systems and swap; what is right stays.

    Raises Conflict when a disk carries something that is not of this layout, or is too small;
    CommandFailed when a tool fails. Afterwards everything is on the disks and nothing is in use.
    """
    release_devices(devices)
    for device, disk in zip(devices, layout.disks, strict=True):
        _partition(device, layout, disk)
    with open_partitions(layout, devices) as parts:
        for part, node in parts:
            if part.role is not PartitionRole.PHYSICAL_VOLUME:
                _make(part, node)
        for group in layout.groups:
            members = members_of(group, parts)
            lvm.make(group, members)
            with volume_nodes(group, members) as nodes:
                for volume in group.volumes:
                    _make(volume, nodes[volume.name])


def _make(volume: Volume, node: Path) -> None:
    formats.make(volume, node)
    if volume.subvolumes:
        subvolumes.make(node, volume.subvolumes)


def carries(device: Path, layout: Layout, disk: DiskLayout) -> bool:
    """Whether a device has the disk's partition table; False for a blank one.

    Raises Conflict when it carries something that is not of this layout.
    """
    content = formats.probe(device)
    if content.table == "gpt" and content.uuid == "" and _table_id(device) == disk_guid(layout, disk):
        _check_table(device, disk)
        return True
    if content.type or _has_partitions(device):
        raise formats.foreign(device, content)
    return False


def check_existing(device: Path, layout: Layout, disk: DiskLayout) -> None:
    """Raise Conflict unless a disk of a former replica, or of nobody, can become this one.

    What no tool knows by name may still be somebody's data, so a blank disk begins and ends with zeros.
    """
    if not carries(device, layout, disk) and not _zeroed(device):
        raise formats.foreign(device, formats.Content(type="unknown"))


def _zeroed(device: Path) -> bool:
    with device.open("rb") as file:
        first = file.read(_LOOKED_AT)
        file.seek(-min(_LOOKED_AT, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return not any(first) and not any(file.read(_LOOKED_AT))


def _partition(device: Path, layout: Layout, disk: DiskLayout) -> None:
    if carries(device, layout, disk):
        return
    guid = disk_guid(layout, disk)
    log.info("partitioning", device=device, guid=guid)
    run(
        ["sfdisk", "--quiet", "--wipe", "always", "--wipe-partitions", "always", str(device)],
        stdin=table_script(layout, disk).encode(),
        hint=f"check that {device} has {disk.size_bytes} bytes and is not in use",
    )


def _table(device: Path) -> dict[str, object]:
    done = run(["sfdisk", "--json", str(device)], ok=(0, 1))
    table: dict[str, object] = json.loads(done.text)["partitiontable"] if done.status == 0 else {}
    return table


def _table_id(device: Path) -> str:
    return str(_table(device).get("id", "")).upper()


def _has_partitions(device: Path) -> bool:
    # A table without partitions is what a run killed inside sfdisk can leave.
    return bool(_table(device).get("partitions"))


def _check_table(device: Path, disk: DiskLayout) -> None:
    table = _table(device)
    rows = table.get("partitions")
    found = [(row["start"], row["size"]) for row in rows] if isinstance(rows, list) else []
    wanted = [(part.start_bytes // _SECTOR, part.size_bytes // _SECTOR) for part in disk.partitions]
    if found != wanted:
        raise Conflict(
            f"{device} carries this job's partition table, but with other sizes",
            hint="use a new disk: delete the job's replica with its disks and create it again, or leave "
            "`existing` out for this one",
        )
