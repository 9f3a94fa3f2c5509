"""File systems and swap: what is on a device, and making what should be there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, UsageError
from dtesx.base.log import get_logger
from dtesx.base.run import run
from dtesx.model.layout import MIB, PartitionRole, Volume

log = get_logger(__name__)

# Features that GRUB before 2.12 or kernels from 4.18 on cannot read are left out.
_EXT_LEFT_OUT = ("^metadata_csum_seed", "^orphan_file")
# Without them the source's fstab options are refused (prjquota), or files have no room (xattrs, names).
_EXT_KEPT = ("casefold", "ea_inode", "large_dir", "project", "quota")
_EXT_RATIOS = range(1 << 10, (64 << 20) + 1)  # what mke2fs takes for -i
# UEFI wants FAT32 on disks (UEFI 2.10, 13.3.1.1); mkfs.fat alone would make FAT16. It needs 65525 clusters.
_FAT32_BYTES = 64 * MIB


@dataclass(frozen=True)
class Content:
    """What blkid(8) finds on a device; all empty for a blank one."""

    type: str = ""
    uuid: str = ""
    label: str = ""
    table: str = ""

    @property
    def blank(self) -> bool:
        """Whether it finds nothing."""
        return not (self.type or self.table)

    def __str__(self) -> str:
        return f"a {self.type} file system" if self.type else f"a {self.table} partition table"


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


def make(volume: Volume, node: Path) -> None:
    """Make the volume's file system or swap on its device; one that is there stays.

    Raises Conflict for other content, CommandFailed when a tool fails.
    """
    content = probe(node)
    if content.type == volume.fs_type and content.uuid.lower() == volume.uuid.lower():
        return
    if content.type == "swap" and volume.role is PartitionRole.SWAP and not volume.uuid:
        return
    # The device is ours (its disk has this job's table): another UUID of the same type is an unfinished mkfs.
    if not content.blank and content.type != volume.fs_type:
        raise foreign(node, content)
    log.info("making file system", node=node, type=volume.fs_type, uuid=volume.uuid)
    run(make_command(volume, node), timeout=3600)


def foreign(device: Path, content: Content) -> Conflict:
    """The refusal of a device that carries something else."""
    return Conflict(
        f"{device} is not blank: it carries {content} that is not this job's",
        hint="nothing was changed; choose another disk, or wipe it yourself (wipefs -a) if it is not needed",
    )


def make_command(volume: Volume, node: Path) -> list[str]:
    """The command that makes the volume's file system or swap, with the source's UUID and label."""
    kind, device = volume.fs_type, str(node)
    label = ["-L", volume.label] if volume.label else []
    if kind in ("ext2", "ext3", "ext4"):
        return [f"mkfs.{kind}", "-q", "-F", *_ext_format(volume), "-U", volume.uuid, *label, device]
    if kind == "xfs":
        features = f"uuid={volume.uuid},bigtime=0,inobtcount=0"
        return ["mkfs.xfs", "-q", "-f", "-m", features, "-i", "nrext64=0", *label, device]
    if kind == "btrfs":
        return ["mkfs.btrfs", "-q", "-f", "-U", volume.uuid, *label, device]
    if kind == "vfat":
        width = ["-F", "32"] if volume.size_bytes >= _FAT32_BYTES else []
        name = ["-n", volume.label] if volume.label else []
        return ["mkfs.vfat", *width, "-i", volume.uuid.replace("-", ""), *name, device]
    if kind == "swap":
        return ["mkswap", *(["-U", volume.uuid] if volume.uuid else []), *label, device]
    raise UsageError(
        f"{volume.mount_point or kind}: {kind} file systems cannot be made here",
        hint="plan the replica's layout with ext2, ext3, ext4, xfs, btrfs, vfat and swap only",
    )


def _ext_format(volume: Volume) -> list[str]:
    kept = [name for name in volume.format.features if name in _EXT_KEPT]
    ratio = volume.format.bytes_per_inode
    inodes = ["-i", str(ratio)] if ratio in _EXT_RATIOS else []
    return ["-O", ",".join((*_EXT_LEFT_OUT, *kept)), *inodes]
