"""What every boot fix-up is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dtesx.boot.tree import Tree
from dtesx.model.layout import Layout, Partition, PartitionRole
from dtesx.model.mounting import mount_key
from dtesx.model.wiring import Wiring


@dataclass(frozen=True)
class Replica:
    """A mounted replica. ``wiring`` tells which of its network cards stands for which of the source's.

    ``system_disk`` is the device or file of disk 0; ``hostname`` is "" to keep the source's.
    """

    tree: Tree
    layout: Layout
    system_disk: Path
    wiring: Wiring = Wiring()
    hostname: str = ""

    @property
    def file_systems(self) -> tuple[Partition, ...]:
        """All file systems, parents before children."""
        parts = [part for disk in self.layout.disks for part in disk.partitions]
        found = [part for part in parts if part.role is PartitionRole.FILE_SYSTEM]
        return tuple(sorted(found, key=lambda part: mount_key(part.mount_point)))

    @property
    def swaps(self) -> tuple[Partition, ...]:
        """All swap partitions with a known UUID."""
        parts = [part for disk in self.layout.disks for part in disk.partitions]
        return tuple(part for part in parts if part.role is PartitionRole.SWAP and part.uuid)

    def holder(self, path: str) -> Partition:
        """The file system that holds an absolute path of the replica."""
        below = [p for p in self.file_systems if _holds(p.mount_point, path)]
        return max(below, key=lambda p: len(p.mount_point))

    @property
    def boot(self) -> Partition:
        """The file system that holds /boot."""
        return self.holder("/boot")


def _holds(mount_point: str, path: str) -> bool:
    return mount_point == "/" or path == mount_point or path.startswith(f"{mount_point}/")
