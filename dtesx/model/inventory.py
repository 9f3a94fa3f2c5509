"""What a source server is made of, as far as a replica needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.network import Link, Network, Nic
from dtesx.model.storage import (
    BlockDevice,
    DeviceKind,
    FileSystem,
    LogicalVolume,
    Swap,
    Unprotected,
    VolumeGroup,
)


class Firmware(StrEnum):
    """How a machine starts; vSphere calls these ``bios`` and ``efi``."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True)
class OperatingSystem:
    """From os-release(5): ``id`` (debian, rhel, ...), ``version`` ("12"), ``pretty`` for people.

    ``like`` are the distributions that it derives from, the closest first.
    """

    id: str
    version: str
    pretty: str
    like: tuple[str, ...] = ()


@dataclass(frozen=True)
class Processor:
    """How the processors are arranged. Without knowledge each is a socket of its own."""

    sockets: int
    cores_per_socket: int = 1
    threads_per_core: int = 1
    model: str = ""


class BootLoader(StrEnum):
    """What loads the kernel."""

    GRUB = "grub"
    SYSTEMD_BOOT = "systemd-boot"
    EXTLINUX = "extlinux"
    LILO = "lilo"
    UNKNOWN = "unknown"


class InitramfsTool(StrEnum):
    """What makes the initramfs."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"
    MKINITCPIO = "mkinitcpio"
    MKINITRD = "mkinitrd"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Boot:
    """What starts the machine, apart from its firmware. ``secure`` is UEFI Secure Boot, switched on.

    ``entries`` tells whether the loader reads boot loader specification files (/boot/loader/entries);
    ``arguments`` are those that the running kernel was started with, ``kernels`` the versions that
    have modules here.
    """

    secure: bool = False
    loader: BootLoader = BootLoader.UNKNOWN
    entries: bool = False
    initramfs: InitramfsTool = InitramfsTool.UNKNOWN
    arguments: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()


class SelinuxMode(StrEnum):
    """SELinux as the running kernel has it; ``none``: not built in, or switched off."""

    NONE = "none"
    PERMISSIVE = "permissive"
    ENFORCING = "enforcing"


@dataclass(frozen=True)
class Security:
    """Mandatory access control: SELinux with its ``policy`` (``targeted``), loaded AppArmor profiles."""

    selinux: SelinuxMode = SelinuxMode.NONE
    policy: str = ""
    apparmor: int = 0


class ContainerEngine(StrEnum):
    """What runs containers on the source."""

    DOCKER = "docker"
    PODMAN = "podman"
    CONTAINERD = "containerd"
    LXC = "lxc"
    LXD = "lxd"


@dataclass(frozen=True)
class Containers:
    """An engine with the directory that keeps its data; ``count`` is how many containers exist there."""

    engine: ContainerEngine
    directory: str
    count: int


_BOTTOM = (DeviceKind.DISK, DeviceKind.LOOP, DeviceKind.MULTIPATH)


@dataclass(frozen=True)
class Inventory:
    """One look at a source server.

    ``devices`` has what a device is made of before the device itself. ``virtualization`` is the
    hypervisor or container that the source runs in, in systemd-detect-virt(1)'s words, "" for
    hardware. ``unread`` are sentences about what could not be looked at, and why.
    """

    hostname: str
    os: OperatingSystem
    kernel: str
    architecture: str
    firmware: Firmware
    cpus: int
    memory_bytes: int
    devices: tuple[BlockDevice, ...]
    file_systems: tuple[FileSystem, ...]
    swaps: tuple[Swap, ...]
    nics: tuple[Nic, ...]
    volume_groups: tuple[VolumeGroup, ...] = ()
    unprotected: tuple[Unprotected, ...] = ()
    network: Network = Network()
    processor: Processor | None = None
    boot: Boot = Boot()
    security: Security = Security()
    containers: tuple[Containers, ...] = ()
    virtualization: str = ""
    unread: tuple[str, ...] = ()

    @property
    def disks(self) -> tuple[BlockDevice, ...]:
        """The devices at the bottom: disks, loop devices, and a multipath one in place of its paths."""
        paths = {name for d in self.devices if d.kind is DeviceKind.MULTIPATH for name in d.below}
        return tuple(d for d in self.devices if d.kind in _BOTTOM and d.name not in paths)

    def file_system(self, mount_point: str) -> FileSystem | None:
        """The file system mounted exactly at ``mount_point``."""
        return next((f for f in self.file_systems if f.mount_point == mount_point), None)

    def device(self, name: str) -> BlockDevice | None:
        """A block device by its kernel name, or by its path."""
        return next((d for d in self.devices if name in (d.name, d.path)), None)

    def disks_below(self, name: str) -> tuple[BlockDevice, ...]:
        """The disks that a device (by kernel name or path) has its space on, itself if it is one."""
        start = self.device(name)
        wanted = {start.name} if start else set()
        for device in reversed(self.devices):
            if device.name in wanted and device.kind not in _BOTTOM:
                wanted.update(device.below)
        return tuple(d for d in self.disks if d.name in wanted)

    def devices_of(self, file_system: FileSystem) -> tuple[BlockDevice, ...]:
        """The block devices of a file system: one, or for btrfs all that have its UUID."""
        return tuple(d for d in self.devices if d.path == file_system.device or _is_shared(d, file_system))

    def volume(self, device: str) -> tuple[VolumeGroup, LogicalVolume] | None:
        """The logical volume whose block device has that kernel name or path, with its group."""
        found = self.device(device)
        pairs = ((group, volume) for group in self.volume_groups for volume in group.logical_volumes)
        return next(((g, v) for g, v in pairs if found and v.device == found.name), None)

    def holder(self, nic: Nic) -> Nic | Link:
        """What has the addresses of a card: itself, or the topmost bond, bridge or team above it."""
        links = {link.name: link for link in self.network.links}
        found: Nic | Link = nic
        while found.master in links:
            found = links.pop(found.master)
        return found

    def group_of(self, device: str) -> VolumeGroup | None:
        """The volume group that has the device (by path) as a physical volume."""
        return next((g for g in self.volume_groups if device in {p.device for p in g.physical_volumes}), None)


def _is_shared(device: BlockDevice, file_system: FileSystem) -> bool:
    both_btrfs = device.content.type == file_system.type == "btrfs"
    return both_btrfs and device.content.uuid == file_system.uuid
