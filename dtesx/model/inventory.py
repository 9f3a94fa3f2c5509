"""What a source server is made of, as far as a replica needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Firmware(StrEnum):
    """How a machine starts; vSphere calls these ``bios`` and ``efi``."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True)
class OperatingSystem:
    """From os-release(5): ``id`` (debian, rhel, ...), ``version`` ("12"), ``pretty`` for people."""

    id: str
    version: str
    pretty: str


@dataclass(frozen=True)
class SourceDisk:
    """A whole disk (or a bare file system on one device); ``size_bytes`` as the kernel reports it."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system backed by a disk. ``disk`` names the SourceDisk it lives on.

    ``size_bytes`` is the size of its block device. ``stack`` names the block layers from the whole
    disk up, as lsblk does (``disk``, ``part``, ``lvm``, ...); ``subvolume`` is the mounted btrfs
    subvolume ("" when the file system is mounted whole).
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


@dataclass(frozen=True)
class Swap:
    """A swap partition in use; swap files travel with their file system and are not listed."""

    device: str
    uuid: str
    size_bytes: int
    label: str = ""
    disk: str = ""


@dataclass(frozen=True)
class Nic:
    """A network interface; addresses are CIDR strings, IPv4 and IPv6 mixed."""

    name: str
    mac: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """One look at a source server."""

    hostname: str
    os: OperatingSystem
    kernel: str
    architecture: str
    firmware: Firmware
    cpus: int
    memory_bytes: int
    disks: tuple[SourceDisk, ...]
    file_systems: tuple[FileSystem, ...]
    swaps: tuple[Swap, ...]
    nics: tuple[Nic, ...]

    def file_system(self, mount_point: str) -> FileSystem | None:
        """The file system mounted exactly at ``mount_point``."""
        return next((f for f in self.file_systems if f.mount_point == mount_point), None)
