"""Limits of the queues on both sides; the defaults are the product's."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.mirror import Compare

MIB = 1 << 20


@dataclass(frozen=True)
class QueueLimits:
    """The source queue's room: memory first, then segment files in a folder. Sizes in bytes.

    An empty ``folder`` or a ``disk`` of 0 means no disk queue; None lets it grow until
    ``minimum_free`` is all that is left in the folder's file system. From ``alert`` percent of the
    disk queue on a warning is logged.
    """

    memory: int = 128 * MIB
    folder: str = ""
    disk: int | None = None
    minimum_free: int = 50 * MIB
    alert: int = 50

    def __post_init__(self) -> None:
        if self.memory < 32 * MIB:
            raise ValueError("queue: at least 32 MiB of memory")
        if (self.disk is not None and self.disk < 0) or self.minimum_free < 0:
            raise ValueError("queue: sizes must not be negative")
        if not 1 <= self.alert <= 100:
            raise ValueError("queue: the alert is a percentage from 1 to 100")

    @property
    def on_disk(self) -> bool:
        """Whether there is a disk queue at all."""
        return bool(self.folder) and self.disk != 0


@dataclass(frozen=True)
class Mixing:
    """How replication and mirror share a source queue.

    So many replication packets travel to one of the mirror's, and at most ``pending_mirror``
    packets of the mirror wait.
    """

    replication_to_mirror: int = 1
    pending_mirror: int = 1000

    def __post_init__(self) -> None:
        if self.replication_to_mirror < 1 or self.pending_mirror < 1:
            raise ValueError("mixing: both numbers are at least 1")


@dataclass(frozen=True)
class WaterMarks:
    """Percentages of a target's memory: at ``high`` the source is paused, at ``low`` it goes on."""

    high: int = 20
    low: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high <= 100:
            raise ValueError("water marks: low below high, both percentages from 1 to 100")


@dataclass(frozen=True)
class AutoRemirror:
    """What follows when a full or damaged queue ended a connection and it was made again.

    ``compare`` is the kind of remirror; None leaves the connection pending until somebody starts
    a mirror.
    """

    compare: Compare | None = Compare.ATTRIBUTES
