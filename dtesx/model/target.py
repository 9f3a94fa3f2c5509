"""What a target worker is told (WorkerSpec) and what it reports (WorkerStatus)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.layout import Layout
from dtesx.model.stats import MirrorStats


@dataclass(frozen=True)
class WorkerSpec:
    """Written as ``worker.json`` in the job's directory; complete, so a worker can restart alone.

    ``disk_uuids`` are the backing UUIDs of the layout's disks, in its order. ``address`` and
    ``port`` are where to listen; ``source_certificate`` is the only peer let in (PEM);
    ``identity_directory`` holds the appliance's own certificate and key.
    """

    job: str
    layout: Layout
    disk_uuids: tuple[str, ...]
    address: str
    port: int
    source_certificate: str
    identity_directory: str


class WorkerPhase(StrEnum):
    """Where a worker stands."""

    STARTING = "starting"
    LISTENING = "listening"
    RECEIVING = "receiving"
    PAUSED = "paused"
    TARGET_FULL = "target-full"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Paused:
    """What is paused of a target: everything, or some places by name.

    ``pending``: an operation that was in progress is not complete yet.
    """

    all: bool = False
    names: tuple[str, ...] = ()
    pending: bool = False

    def holds(self, name: str) -> bool:
        """Whether the place is paused."""
        return self.all or name in self.names


@dataclass(frozen=True)
class WorkerStatus:
    """Written as ``status.json`` beside the spec whenever it changes.

    ``code``, ``message`` and ``hint`` are those of the error that ended a FAILED worker.
    """

    phase: WorkerPhase
    pid: int
    port: int = 0
    stats: MirrorStats = MirrorStats()
    message: str = ""
    hint: str = ""
    code: str = ""
