"""Partitioning a replica's disk and making its file systems; repeating it changes nothing."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, UsageError
from dtesx.base.log import get_logger
from dtesx.base.run import run
from dtesx.model.layout import DiskLayout, Partition, PartitionRole
from dtesx.volumes.nodes import flush, partition_nodes

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
# Features that GRUB before 2.12 or kernels from 4.18 on cannot read are left out.
_EXT_FEATURES = "^metadata_csum_seed,^orphan_file"


@dataclass(frozen=True)
class Content:
    """What blkid(8) finds on a device; all empty for a blank one."""

    type: str = ""
    uuid: str = ""
    label: str = ""
    table: str = ""

    @property
    def blank(self) -> bool:
        return not (self.type or self.table)


def disk_guid(disk: DiskLayout) -> str:
    """The GPT identifier of a replica's disk: always the same for the same file systems.

    By it a disk that a killed run prepared is told from a foreign one.
    """
    names = [str(disk.index), *(part.uuid for part in disk.partitions)]
    return str(uuid.uuid5(_NAMESPACE, "/".join(names))).upper()


def table_script(disk: DiskLayout) -> str:
    """The sfdisk(8) script of the disk's GPT."""
    guid = disk_guid(disk)
    lines = ["label: gpt", f"label-id: {guid}", "unit: sectors", "first-lba: 2048"]
    for part in disk.partitions:
        own = str(uuid.uuid5(uuid.UUID(guid), str(part.number))).upper()
        lines.append(
            f"{part.number} : start={part.start_bytes // _SECTOR}, size={part.size_bytes // _SECTOR}, "
            f"type={_TYPES[part.role]}, uuid={own}"
        )
    return "\n".join(lines) + "\n"


def make_command(partition: Partition, node: Path) -> list[str]:
    """The command that makes the partition's file system or swap, with the source's UUID and label."""
    kind, device = partition.fs_type, str(node)
    label = ["-L", partition.label] if partition.label else []
    if kind in ("ext2", "ext3", "ext4"):
        return [
            *(f"mkfs.{kind}", "-q", "-F", "-O", _EXT_FEATURES, "-U", partition.uuid),
            *(*label, device),
        ]
    if kind == "xfs":
        return [
            *("mkfs.xfs", "-q", "-f", "-m", f"uuid={partition.uuid},bigtime=0,inobtcount=0"),
            *("-i", "nrext64=0", *label, device),
        ]
    if kind == "btrfs":
        return ["mkfs.btrfs", "-q", "-f", "-U", partition.uuid, *label, device]
    if kind == "swap":
        return ["mkswap", *(["-U", partition.uuid] if partition.uuid else []), *label, device]
    raise UsageError(
        f"{partition.mount_point or kind}: {kind} file systems cannot be made here",
        hint="plan the replica's layout with ext2, ext3, ext4, xfs, btrfs and swap only",
    )


def probe(node: Path) -> Content:
    """What is on a device, from its own bytes (no cache)."""
    done = run(["blkid", "--probe", "--output", "export", str(node)], ok=(0, 2))
    found = dict(line.split("=", 1) for line in done.text.splitlines() if "=" in line)
    return Content(
        type=found.get("TYPE", ""),
        uuid=found.get("UUID", ""),
        label=found.get("LABEL", ""),
        table=found.get("PTTYPE", ""),
    )


def prepare_disk(device: Path, disk: DiskLayout) -> None:
    """Give the disk its GPT, file systems and swap; what is already right stays untouched.

    Raises Conflict when the disk or a partition carries something that is not of this layout, or is
    too small; CommandFailed when a tool fails.
    """
    _partition(device, disk)
    with_content = [part for part in disk.partitions if part.role is not PartitionRole.BIOS_BOOT]
    with partition_nodes(device, with_content) as nodes:
        for partition in with_content:
            _make(partition, nodes[partition.number])
    flush(device)


def carries(device: Path, disk: DiskLayout) -> bool:
    """Whether a device has the disk's partition table; False for a blank one.

    Raises Conflict when it carries something that is not of this layout.
    """
    content = probe(device)
    if content.table == "gpt" and content.uuid == "" and _table_id(device) == disk_guid(disk):
        _check_table(device, disk)
        return True
    if content.type or _has_partitions(device):
        raise _foreign(device, content)
    return False


def check_existing(device: Path, disk: DiskLayout) -> None:
    """Raise Conflict unless a disk of a former replica, or of nobody, can become this one.

    What no tool knows by name may still be somebody's data, so a blank disk begins and ends with zeros.
    """
    if not carries(device, disk) and not _zeroed(device):
        raise _foreign(device, Content(type="unknown"))


def _zeroed(device: Path) -> bool:
    with device.open("rb") as file:
        first = file.read(_LOOKED_AT)
        file.seek(-min(_LOOKED_AT, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return not any(first) and not any(file.read(_LOOKED_AT))


def _partition(device: Path, disk: DiskLayout) -> None:
    if carries(device, disk):
        return
    guid = disk_guid(disk)
    log.info("partitioning", device=device, guid=guid)
    run(
        ["sfdisk", "--quiet", "--wipe", "always", "--wipe-partitions", "always", str(device)],
        stdin=table_script(disk).encode(),
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


def _foreign(device: Path, content: Content) -> Conflict:
    what = f"a {content.type} file system" if content.type else f"a {content.table} partition table"
    return Conflict(
        f"{device} is not blank: it carries {what} that is not this job's",
        hint="nothing was changed; choose another disk, or wipe it yourself (wipefs -a) if it is not needed",
    )


def _make(partition: Partition, node: Path) -> None:
    content = probe(node)
    if content.type == partition.fs_type and content.uuid == partition.uuid.lower():
        return
    if content.type == "swap" and partition.role is PartitionRole.SWAP and not partition.uuid:
        return
    # The partition is ours (see disk_guid): another UUID of the same type is an unfinished mkfs.
    if not content.blank and content.type != partition.fs_type:
        raise _foreign(node, content)
    log.info("making file system", node=node, type=partition.fs_type, uuid=partition.uuid)
    run(make_command(partition, node), timeout=3600)
