"""What every boot fix-up is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dtesx.boot import devices
from dtesx.boot.arguments import Devices
from dtesx.boot.devices import Volume
from dtesx.boot.tree import Tree
from dtesx.model.layout import Layout, PartitionRole
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

    @cached_property
    def volumes(self) -> tuple[Volume, ...]:
        """All partitions and logical volumes that hold something."""
        return devices.volumes(self.layout)

    @property
    def file_systems(self) -> tuple[Volume, ...]:
        """All mounted file systems, parents before children."""
        return tuple(v for v in self.volumes if v.role in devices.FILE_SYSTEM_ROLES and v.mount_point)

    @property
    def swaps(self) -> tuple[Volume, ...]:
        """All swap with a known UUID."""
        return tuple(v for v in self.volumes if v.role is PartitionRole.SWAP and v.uuid)

    @property
    def esp(self) -> Volume | None:
        """The EFI system partition."""
        return next((v for v in self.file_systems if v.role is PartitionRole.EFI_SYSTEM), None)

    def holder(self, path: str) -> Volume:
        """The file system that holds an absolute path of the replica."""
        below = [v for v in self.file_systems if _holds(v.mount_point, path)]
        return max(below, key=lambda volume: len(volume.mount_point))

    @property
    def boot(self) -> Volume:
        """The file system that holds /boot."""
        return self.holder("/boot")

    @property
    def devices(self) -> Devices:
        """What kernel arguments may name."""
        return Devices(self.holder("/"), self.boot, self.volumes, self.swaps)


def _holds(mount_point: str, path: str) -> bool:
    return mount_point == "/" or path == mount_point or path.startswith(f"{mount_point}/")
