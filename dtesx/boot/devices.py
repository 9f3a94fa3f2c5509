"""What holds the replica's file systems and swap, and the names that configuration files give it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dtesx.model.layout import Layout, LogicalVolume, Partition, PartitionRole

FILE_SYSTEM_ROLES = (PartitionRole.FILE_SYSTEM, PartitionRole.EFI_SYSTEM)
_BY_UUID = "/dev/disk/by-uuid/"
_BY_LABEL = "/dev/disk/by-label/"


@dataclass(frozen=True)
class Volume:
    """A partition or logical volume with its content. ``group`` and ``name`` are "" for a partition.

    ``disk`` is the index of its disk; a volume of a group may be on several and has -1. Of a btrfs with
    subvolumes each that is mounted counts: ``subvolume`` is its path from the top, ``subvolumes`` are
    those of all that there are.
    """

    role: PartitionRole
    fs_type: str
    uuid: str
    label: str = ""
    mount_point: str = ""
    group: str = ""
    name: str = ""
    disk: int = -1
    subvolume: str = ""
    subvolumes: tuple[str, ...] = ()

    @property
    def stable_name(self) -> str:
        """The name that fstab(5) takes and that no change of hardware touches."""
        return f"UUID={self.uuid}"

    @property
    def root_name(self) -> str:
        """The name for ``root=``: an initramfs activates a logical volume that is called by its own name."""
        return self.paths[0] if self.group else self.stable_name

    @property
    def paths(self) -> tuple[str, ...]:
        """The device paths that are the same on every machine; a partition has none."""
        if not self.group:
            return ()
        mapped = f"{_doubled(self.group)}-{_doubled(self.name)}"
        linked = (f"/dev/{self.group}/{self.name}", f"/dev/disk/by-id/dm-name-{mapped}")
        return (f"/dev/mapper/{mapped}", *linked)

    def answers(self, device: str) -> bool:
        """Whether a device field or kernel argument names this volume and will on every machine."""
        name = device.replace('"', "")
        if name.startswith(_BY_UUID):
            name = f"UUID={name.removeprefix(_BY_UUID)}"
        elif name.startswith(_BY_LABEL):
            name = f"LABEL={name.removeprefix(_BY_LABEL)}"
        if name.startswith("UUID="):
            return bool(self.uuid) and name.removeprefix("UUID=").lower() == self.uuid.lower()
        if name.startswith("LABEL="):
            return bool(self.label) and name.removeprefix("LABEL=") == self.label
        return name in self.paths


def _doubled(name: str) -> str:
    """How device-mapper writes a hyphen within a name (lvm(8), VALID NAMES)."""
    return name.replace("-", "--")


def volumes(layout: Layout) -> tuple[Volume, ...]:
    """Every file system by each place where it is mounted, parents first, then all swap."""
    held = [*_on_partitions(layout), *_in_groups(layout)]
    whole = {volume.uuid: volume for volume in held if volume.role in FILE_SYSTEM_ROLES}
    mounted = (
        replace(whole[fs.uuid], mount_point=fs.mount_point, subvolume=fs.subvolume)
        for fs in layout.file_systems()
        if fs.mounted
    )
    return (*mounted, *(volume for volume in held if volume.role is PartitionRole.SWAP))


def _on_partitions(layout: Layout) -> Iterator[Volume]:
    for disk in layout.disks:
        for part in disk.partitions:
            yield _volume(part, disk=disk.index)


def _in_groups(layout: Layout) -> Iterator[Volume]:
    for group in layout.groups:
        for volume in group.volumes:
            yield _volume(volume, group=group.name, name=volume.name)


def _volume(content: Partition | LogicalVolume, *, group: str = "", name: str = "", disk: int = -1) -> Volume:
    return Volume(
        content.role,
        content.fs_type,
        content.uuid,
        content.label,
        content.mount_point,
        group=group,
        name=name,
        disk=disk,
        subvolumes=tuple(subvolume.path for subvolume in content.subvolumes),
    )


def find(known: Sequence[Volume], device: str) -> Volume | None:
    """The volume that a name means on every machine; None when it is not known, or not stable."""
    return next((volume for volume in known if volume.answers(device)), None)
