"""What of a source a job protects: its volumes, with the volume groups that hold some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Inventory
from dtesx.model.layout import PartitionRole, Subvolume
from dtesx.model.mounting import mount_key
from dtesx.model.plan import LeftOut
from dtesx.model.specs import WorkloadSpec
from dtesx.model.storage import EXPLANATIONS, BlockDevice, DeviceKind, FileSystem, Format, Swap, VolumeGroup
from dtesx.planning import subvolumes

FILE_SYSTEM_TYPES = ("ext2", "ext3", "ext4", "xfs", "btrfs")
"""File systems that can be made with the source's UUID and written by a mirror."""

SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi")
"""Mount points without which no replica starts."""

# Some that start by systemd-boot have the EFI system partition at /boot.
_EFI = ("/boot/efi", "/efi", "/boot")
# They decide whose a file on vfat seems to be and what may be done with it.
_SHAPING = ("uid=", "gid=", "fmask=", "dmask=")
_ENCRYPTION = frozenset(("crypt", DeviceKind.ENCRYPTED.value))
_STRANGE = (DeviceKind.RAID, DeviceKind.ENCRYPTED, DeviceKind.MULTIPATH, DeviceKind.MAPPED)


@dataclass(frozen=True)
class Volume:
    """A file system or swap of the source. ``group`` and ``name`` are those of its logical volume, or "".

    ``layers`` are the block layers below it that a replica does not have (``raid1``, ``crypt``, ...),
    ``devices`` how many devices a btrfs is over. ``subvolumes`` and what follows: see layout.Partition.
    """

    role: PartitionRole
    device: str
    disk: str
    size_bytes: int
    used_bytes: int
    fs_type: str
    uuid: str
    label: str
    mount_point: str = ""
    group: str = ""
    name: str = ""
    layers: tuple[str, ...] = ()
    devices: int = 1
    subvolumes: tuple[Subvolume, ...] = ()
    options: tuple[str, ...] = ()
    format: Format = Format()

    @property
    def encrypted(self) -> bool:
        """Whether nobody can read it on the source's disk without a key."""
        return bool(_ENCRYPTION.intersection(self.layers))

    @property
    def title(self) -> str:
        """What job files and messages call it."""
        return self.mount_point or self.device


@dataclass(frozen=True)
class Workload:
    """The volumes in the inventory's order, their groups, and what stays behind, with the reason."""

    volumes: tuple[Volume, ...]
    groups: tuple[VolumeGroup, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def root(self) -> Volume:
        """The volume mounted at ``/``."""
        return next(volume for volume in self.volumes if volume.mount_point == "/")

    @property
    def system(self) -> Volume:
        """The volume whose disk starts the replica: ``/``, or ``/boot`` where only that is on no group."""
        boot = next((v for v in self.plain() if v.mount_point == "/boot"), self.root)
        return boot if self.root.group else self.root

    def plain(self) -> tuple[Volume, ...]:
        """The volumes that are on no volume group."""
        return tuple(volume for volume in self.volumes if not volume.group)

    def within(self, group: str) -> tuple[Volume, ...]:
        """The volumes of a volume group."""
        return tuple(volume for volume in self.volumes if volume.group == group)


def select(inventory: Inventory, spec: WorkloadSpec) -> Workload:
    """The volumes that a job protects: all, or the system's and those that it names, and all swap.

    Raises UsageError for a volume that is not there or that no replica can have.
    """
    if inventory.file_system("/") is None:
        raise UsageError(
            "the source's root file system is not on a local disk",
            hint="only servers whose / is a local ext, xfs or btrfs file system can be protected",
        )
    _check_names(inventory, spec)
    chosen = [fs for fs in inventory.file_systems if _wanted(fs, spec)]
    for fs in chosen:
        _check(fs)
    systems = tuple(_file_systems(inventory, chosen))
    volumes = (*systems, *(_swap(inventory, swap) for swap in inventory.swaps))
    _check_unique(volumes)
    used = {volume.group for volume in volumes}
    return Workload(
        volumes,
        tuple(group for group in inventory.volume_groups if group.name in used),
        tuple(_left_out(inventory, chosen, systems)),
    )


def _left_out(
    inventory: Inventory, chosen: Sequence[FileSystem], made: Sequence[Volume]
) -> Iterator[LeftOut]:
    for fs in inventory.file_systems:
        if fs not in chosen:
            yield LeftOut(fs.mount_point, "the job does not name it")
    for volume in made:
        mounts = [fs for fs in chosen if fs.type == "btrfs" and fs.device == volume.device]
        yield from (LeftOut(*left) for left in subvolumes.left_out(mounts, volume.subvolumes))


def _wanted(fs: FileSystem, spec: WorkloadSpec) -> bool:
    return spec.volumes is None or fs.mount_point in SYSTEM or fs.mount_point in spec.volumes


def _check_names(inventory: Inventory, spec: WorkloadSpec) -> None:
    known = [fs.mount_point for fs in inventory.file_systems]
    for name in spec.volumes or ():
        if name in known:
            continue
        reason = next((u.reason for u in inventory.unprotected if u.mount_point == name), None)
        if reason is not None:
            raise UsageError(
                f"workload.volumes: {name} cannot be protected: {EXPLANATIONS[reason]}",
                hint="take it out of workload.volumes",
            )
        raise UsageError(
            f"workload.volumes: the source has no file system at {name}",
            hint=f"its file systems are: {', '.join(known)}",
        )


def _file_systems(inventory: Inventory, chosen: Iterable[FileSystem]) -> Iterator[Volume]:
    """Each file system once, called by the topmost place where it or a subvolume of it is mounted."""
    together: dict[str, list[FileSystem]] = {}
    for fs in chosen:
        together.setdefault(fs.device if fs.type == "btrfs" else fs.mount_point, []).append(fs)
    for mounts in together.values():
        fs = min(mounts, key=lambda mount: mount_key(mount.mount_point))
        group, name = _place(inventory, fs.device)
        devices = _devices(inventory, fs)
        yield Volume(
            role=PartitionRole.EFI_SYSTEM if _is_esp(fs) else PartitionRole.FILE_SYSTEM,
            device=fs.device,
            disk=fs.disk,
            size_bytes=max(fs.size_bytes, sum(device.size_bytes for device in devices)),
            used_bytes=fs.used_bytes,
            fs_type=fs.type,
            uuid=fs.uuid,
            label=fs.label,
            mount_point=fs.mount_point,
            group=group,
            name=name,
            layers=_layers(fs.stack, group),
            devices=max(1, len(devices)),
            subvolumes=subvolumes.planned(inventory, mounts) if fs.type == "btrfs" else (),
            options=tuple(o for o in fs.options if o.startswith(_SHAPING)) if _is_esp(fs) else (),
            format=fs.format,
        )


def _is_esp(fs: FileSystem) -> bool:
    return fs.type == "vfat" and fs.mount_point in _EFI


def _devices(inventory: Inventory, fs: FileSystem) -> tuple[BlockDevice, ...]:
    """All devices of a btrfs, without what these are made of; of other file systems none is needed."""
    found = inventory.devices_of(fs) if fs.type == "btrfs" else ()
    below = {name for device in found for name in device.below}
    return tuple(device for device in found if device.name not in below)


def _swap(inventory: Inventory, swap: Swap) -> Volume:
    group, name = _place(inventory, swap.device)
    return Volume(
        role=PartitionRole.SWAP,
        device=swap.device,
        disk=swap.disk,
        size_bytes=swap.size_bytes,
        used_bytes=0,
        fs_type="swap",
        uuid=swap.uuid,
        label=swap.label,
        group=group,
        name=name,
        layers=_swap_layers(inventory, swap.device),
    )


def _swap_layers(inventory: Inventory, device: str) -> tuple[str, ...]:
    found = inventory.device(device)
    return (found.kind.value,) if found is not None and found.kind in _STRANGE else ()


def _place(inventory: Inventory, device: str) -> tuple[str, str]:
    found = inventory.volume(device)
    return (found[0].name, found[1].name) if found else ("", "")


def _layers(stack: tuple[str, ...], group: str) -> tuple[str, ...]:
    """What lies between a disk and its file system, as lsblk says, without what a replica has, too."""
    known = {"disk", "part", "loop", "lvm"} if group else {"disk", "part", "loop"}
    return tuple(layer for layer in stack if layer not in known)


def _check(fs: FileSystem) -> None:
    where = f"{fs.mount_point} ({fs.device})"
    if fs.type not in FILE_SYSTEM_TYPES and not _is_esp(fs):
        raise UsageError(
            f"{where}: {fs.type} file systems are not supported",
            hint="leave it out (workload.volumes names what is protected), or move its data to one of: "
            + ", ".join(FILE_SYSTEM_TYPES),
        )
    if not fs.uuid:
        raise UsageError(
            f"{where}: the file system has no readable UUID",
            hint="check that dtesx may read the device on the source (blkid -p), then try again",
        )


def _check_unique(volumes: Iterable[Volume]) -> None:
    seen: dict[str, str] = {}
    for volume in volumes:
        if volume.uuid and volume.uuid in seen:
            raise UsageError(
                f"{seen[volume.uuid]} and {volume.title} have the same UUID {volume.uuid}",
                hint="give one of them a new UUID on the source (tune2fs -U, xfs_admin -U, swaplabel -U)",
            )
        seen[volume.uuid] = volume.title
