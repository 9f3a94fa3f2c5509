"""The source queue: its limits, whose defaults are the product's, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class QueueLimits:
    """The source queue's room: memory first, then segment files in a folder. Sizes in bytes.

    An empty ``folder`` or a ``disk`` of 0 means no disk queue; None lets it grow until
    ``minimum_free`` is all that is left in the folder's file system. From ``alert`` percent of the
    disk queue on a warning is logged. At most ``pending`` frames (of about 1 MiB) wait at all.
    """

    memory: int = 128 * MIB
    folder: str = ""
    disk: int | None = None
    minimum_free: int = 50 * MIB
    alert: int = 50
    pending: int = 1000

    def __post_init__(self) -> None:
        if self.memory < 32 * MIB:
            raise ValueError("memory: at least 32 MiB")
        if (self.disk is not None and self.disk < 0) or self.minimum_free < 0:
            raise ValueError("disk, minimum_free: must not be negative")
        if self.pending < 1:
            raise ValueError("pending: at least one frame")
        if not 1 <= self.alert <= 100:
            raise ValueError("alert: a percentage from 1 to 100")

    @property
    def on_disk(self) -> bool:
        """Whether there is a disk queue at all."""
        return bool(self.folder) and self.disk != 0


@dataclass(frozen=True)
class QueueStatus:
    """What a source has queued and its target does not have on disk yet: bytes of frames, and operations.

    ``bytes`` and ``operations`` are in memory, the others in the disk queue.
    """

    bytes: int = 0
    operations: int = 0
    disk_bytes: int = 0
    disk_operations: int = 0
