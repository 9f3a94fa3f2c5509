"""What a target worker is told (WorkerSpec) and what it reports (WorkerStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dtesx.model.layout import Layout
from dtesx.model.stats import MirrorStats
from dtesx.model.tasks import Task

EPOCHS = "epochs"
"""Where in its directory a worker keeps epochs until they are applied."""

MAX_RETRY_DELAY = 3600
MAX_MEMORY = 80


@dataclass(frozen=True)
class TargetOptions:
    """How a target deals with what arrives.

    An operation that failed for a passing reason is tried again after ``retry_delay`` seconds. When
    what has arrived and waits to be applied takes ``memory_high`` percent of the machine's memory, all
    places of the target together, the sources that it is from send nothing more until it is below
    ``memory_low`` percent. A place that is paused keeps at most ``queue_limit`` bytes of epochs (0: any
    number), and all of them leave ``queue_free`` bytes where they are kept.
    """

    retry_delay: float = 3.0
    memory_high: int = 20
    memory_low: int = 10
    queue_limit: int = 0
    queue_free: int = 50 << 20

    def __post_init__(self) -> None:
        if not 0 < self.retry_delay <= MAX_RETRY_DELAY:
            raise ValueError(f"retry_delay: more than 0 and at most {MAX_RETRY_DELAY} seconds")
        if not 1 <= self.memory_low <= self.memory_high <= MAX_MEMORY:
            raise ValueError(
                f"memory_low, memory_high: 1 to {MAX_MEMORY} percent, the low mark not above the high one"
            )
        if self.queue_limit < 0 or self.queue_free < 0:
            raise ValueError("queue_limit, queue_free: must not be negative")


@dataclass(frozen=True)
class WorkerSpec:
    """Written as ``worker.json`` in the job's directory; complete, so a worker can restart alone.

    ``disk_uuids`` are the backing UUIDs of the layout's disks, in its order. ``address`` and
    ``port`` are where to listen; ``source_certificate`` is the only peer let in (PEM);
    ``identity_directory`` holds the appliance's own certificate and key; ``tasks`` may be asked for.
    """

    job: str
    layout: Layout
    disk_uuids: tuple[str, ...]
    address: str
    port: int
    source_certificate: str
    identity_directory: str
    options: TargetOptions = TargetOptions()
    tasks: Mapping[str, Task] = field(default_factory=dict)


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
