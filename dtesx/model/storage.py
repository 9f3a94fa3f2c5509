"""What a source keeps its data on: block devices layer on layer, LVM, file systems, swap."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeviceKind(StrEnum):
    """What makes a block device. ``mapped`` is a device-mapper one that has no other name here."""

    DISK = "disk"
    PARTITION = "partition"
    RAID = "raid"
    LOGICAL_VOLUME = "logical-volume"
    ENCRYPTED = "encrypted"
    MULTIPATH = "multipath"
    LOOP = "loop"
    MAPPED = "mapped"


class TableKind(StrEnum):
    """A disk's partition table; ``none`` for a disk that is used as it is, or not at all."""

    NONE = "none"
    GPT = "gpt"
    MBR = "mbr"
    OTHER = "other"


@dataclass(frozen=True)
class Content:
    """What blkid(8) finds on a block device: ``ext4``, ``LVM2_member``, ``linux_raid_member``, ``swap``, ...

    All is empty for a device on which it finds nothing. On a member of an array or of a btrfs file
    system of several devices ``uuid`` is that of the whole.
    """

    type: str = ""
    uuid: str = ""
    label: str = ""
    version: str = ""


@dataclass(frozen=True)
class DiskFacts:
    """What only a whole disk has, or what stands for one.

    ``transport`` is lsblk's (``sata``, ``nvme``, ``iscsi``, ...).
    """

    table: TableKind = TableKind.NONE
    table_id: str = ""
    model: str = ""
    serial: str = ""
    wwn: str = ""
    transport: str = ""
    rotational: bool = False
    removable: bool = False
    sector_bytes: int = 512


@dataclass(frozen=True)
class PartitionFacts:
    """What only a partition has.

    ``type`` is the GUID of a GPT in upper case, the hexadecimal number of an MBR without 0x; ``uuid``
    is what ``PARTUUID=`` means in fstab(5).
    """

    number: int
    start_bytes: int
    type: str = ""
    uuid: str = ""
    label: str = ""
    bootable: bool = False


@dataclass(frozen=True)
class RaidFacts:
    """What only an MD array has (md(4)). ``missing`` counts members that it lacks."""

    level: str
    metadata: str = ""
    members: int = 0
    missing: int = 0
    chunk_bytes: int = 0


@dataclass(frozen=True)
class BlockDevice:
    """A block device. ``name`` is the kernel's (``sda1``, ``dm-0``), ``below`` names what it is made of.

    ``path`` is what people call it (``/dev/mapper/vg-root``). Each disk, partition and array has its
    facts, as far as they could be read; they are None for other kinds.
    """

    name: str
    path: str
    kind: DeviceKind
    size_bytes: int
    below: tuple[str, ...] = ()
    content: Content = Content()
    read_only: bool = False
    disk: DiskFacts | None = None
    partition: PartitionFacts | None = None
    raid: RaidFacts | None = None


class VolumeKind(StrEnum):
    """How a logical volume is laid out (lvs(8), lv_layout and lv_role)."""

    LINEAR = "linear"
    STRIPED = "striped"
    RAID = "raid"
    CACHED = "cached"
    THIN_POOL = "thin-pool"
    THIN = "thin"
    SNAPSHOT = "snapshot"
    OTHER = "other"


@dataclass(frozen=True)
class PhysicalVolume:
    """A PV; ``device`` is the path of its block device, a missing one's is LVM's word for it."""

    device: str
    uuid: str
    size_bytes: int
    free_bytes: int
    missing: bool = False


@dataclass(frozen=True)
class LogicalVolume:
    """An LV that users see; what LVM keeps for itself is not listed.

    ``device`` is the kernel name of its block device, "" while it is not active. ``pool`` names the
    thin pool of a thin volume, ``origin`` what a snapshot was taken of. ``used_percent`` tells how
    full a pool, a thin volume or a snapshot is.
    """

    name: str
    uuid: str
    size_bytes: int
    kind: VolumeKind
    device: str = ""
    pool: str = ""
    origin: str = ""
    used_percent: float | None = None


@dataclass(frozen=True)
class VolumeGroup:
    """A VG with its PVs and LVs; sizes in bytes, all multiples of ``extent_bytes``."""

    name: str
    uuid: str
    size_bytes: int
    free_bytes: int
    extent_bytes: int
    physical_volumes: tuple[PhysicalVolume, ...] = ()
    logical_volumes: tuple[LogicalVolume, ...] = ()


@dataclass(frozen=True)
class Subvolume:
    """A btrfs subvolume; ``path`` is from the top of its file system, without a leading slash.

    ``default`` marks the one that is mounted when nobody names any; without one that is the top.
    """

    id: int
    path: str
    snapshot: bool = False
    default: bool = False


@dataclass(frozen=True)
class Format:
    """How a file system was made, as far as another one can be made like it.

    ``features`` are the names that the file system's mkfs takes; ``version`` that of the on-disk format.
    ``bytes_per_inode`` tells how many files ext can hold, 0 for types that make inodes as they go.
    """

    version: str = ""
    block_bytes: int = 0
    inode_bytes: int = 0
    features: tuple[str, ...] = ()
    bytes_per_inode: int = 0


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system backed by a disk. ``disk`` names the first disk it lives on.

    ``device`` is the path of its block device, ``size_bytes`` the size of that. ``stack`` names the
    block layers from the whole disk up, as lsblk does (``disk``, ``part``, ``lvm``, ...);
    ``subvolume`` is the mounted btrfs subvolume ("" when the file system is mounted whole),
    ``subvolumes`` are all that the file system has.
    """

    mount_point: str
    device: str
    disk: str
    type: str
    uuid: str
    label: str
    size_bytes: int
    used_bytes: int
    options: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()
    subvolume: str = ""
    format: Format = Format()
    subvolumes: tuple[Subvolume, ...] = ()


@dataclass(frozen=True)
class Swap:
    """A swap partition or volume in use; swap files travel with their file system and are not listed."""

    device: str
    uuid: str
    size_bytes: int
    label: str = ""
    disk: str = ""


class Reason(StrEnum):
    """Why what is mounted somewhere, or could be, cannot be protected."""

    NETWORK = "network"
    STACKED = "stacked"
    USER_SPACE = "user-space"
    IMAGE = "image"
    UNSUPPORTED = "unsupported"
    NO_DEVICE = "no-device"
    PART = "part"
    HIDDEN = "hidden"
    NOT_MOUNTED = "not-mounted"


EXPLANATIONS = {
    Reason.NETWORK: "its data are on another server",
    Reason.STACKED: "it shows what lies in other file systems, which are protected themselves",
    Reason.USER_SPACE: "a program makes it (FUSE); its data are wherever that program keeps them",
    Reason.IMAGE: "it is a read-only image, made from a file",
    Reason.UNSUPPORTED: "no replica can be made of this type of file system",
    Reason.NO_DEVICE: "its block device is not visible here",
    Reason.PART: "only a directory of its file system is mounted, not all of it",
    Reason.HIDDEN: "another file system is mounted over it",
    Reason.NOT_MOUNTED: "it is in fstab, but not mounted now",
}
"""One sentence for each reason, without its full stop."""


@dataclass(frozen=True)
class Unprotected:
    """A mount, or a line of fstab(5), whose data do not travel, and why."""

    mount_point: str
    source: str
    type: str
    reason: Reason
