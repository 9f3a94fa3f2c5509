"""Continuous replication: how it is to be made, where it stands, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.capture import Rung
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.queue import QueueStatus
from dtesx.model.stats import MirrorStats


class ReplicationPhase(StrEnum):
    """Where a replication stands."""

    CONNECTING = "connecting"
    MIRRORING = "mirroring"
    REPLICATING = "replicating"


class ReplicationSwitch(StrEnum):
    """What users want of a job's replication; a stopped one goes on after the next mirror."""

    ON = "on"
    PAUSED = "paused"
    STOPPED = "stopped"


class TargetStatus(StrEnum):
    """What a source knows of its target: away is one that it has no connection to."""

    AWAY = "away"
    OK = "ok"
    PAUSED = "paused"
    FULL = "full"


@dataclass(frozen=True)
class ReplicationOptions:
    """How to replicate: an epoch every ``epoch`` seconds.

    Every ``consistent_every`` seconds (0: never) one is to be of one moment, for which the source's file
    systems are frozen for at most ``freeze_budget`` seconds.
    """

    epoch: float = 2.0
    consistent_every: float = 15.0
    freeze_budget: float = 0.2


@dataclass(frozen=True)
class FreezeStats:
    """For how many seconds file systems were frozen: the last time, at most, and 99 of 100 times."""

    times: int = 0
    last: float = 0.0
    most: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True)
class ReplicationStatus:
    """Where a replication stands. Times are Unix seconds; 0 stands for never.

    ``epoch`` is the last one applied on the target; ``current``: the target has all that was written
    before. ``problem`` is what keeps it from going on. ``waiting`` counts the names that changed and
    were not looked at yet, ``busy`` says whether an epoch is on its way, ``failed`` counts the paths
    that could not be replicated and are tried again. ``last_file`` is the path that was sent last.
    ``consistent`` is the last epoch applied that was of one moment, ``fuzzy`` why the latest one that was
    to be so was not (empty: it was).
    """

    phase: ReplicationPhase = ReplicationPhase.CONNECTING
    epoch: Epoch | None = None
    current: float = 0.0
    stats: MirrorStats = MirrorStats()
    problem: str = ""
    target: TargetStatus = TargetStatus.AWAY
    connected_since: float = 0.0
    queue: QueueStatus = QueueStatus()
    waiting: int = 0
    busy: bool = False
    failed: int = 0
    last_file: str = ""
    consistent: Epoch | None = None
    fuzzy: str = ""
    freezes: FreezeStats = FreezeStats()


@dataclass(frozen=True)
class PointRequest:
    """Asks for a recovery point; a ``consistent`` one is not fuzzy. ``wait`` at most so many seconds."""

    consistent: bool = False
    wait: float = 60.0


@dataclass(frozen=True)
class Point:
    """A recovery point: an epoch that was applied on the target.

    All that was written before ``taken`` (Unix seconds of the source's clock) is in it, but for
    ``failed`` paths, which are tried again.
    """

    number: int
    kind: EpochKind
    taken: float
    failed: int = 0


class MirrorState(StrEnum):
    """Whether the source mirrors."""

    MIRRORING = "mirroring"
    IDLE = "idle"


class ReplicationState(StrEnum):
    """Whether the source replicates: ready has nothing to send, pending cannot send yet."""

    REPLICATING = "replicating"
    READY = "ready"
    PENDING = "pending"
    STOPPED = "stopped"


class TransmitMode(StrEnum):
    """Whether data travel: paused by the target, stopped without a connection, error with a problem."""

    STARTED = "started"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"


class TargetDataState(StrEnum):
    """What the replica is worth: ok is what the source was at an epoch."""

    OK = "ok"
    MIRRORING = "mirroring"
    MIRROR_REQUIRED = "mirror-required"


@dataclass(frozen=True)
class ReplicationReport:
    """What a replication tells. Times are Unix seconds, 0 for never; counts are since ``started``.

    ``at`` is when this was so; ``running``: the process that replicates answered. ``epoch`` is the
    last one applied on the target; all that was written before ``current`` is there (0: it never was
    whole), that is ``recovery_point_latency`` seconds ago (None: the same). ``sent_bytes`` are content of
    files, ``sent_compressed_bytes`` what crossed the link for it, both ways and with all that frames it.
    """

    source: str
    target: str
    running: bool
    at: float
    started: float
    mirror_status: MirrorState
    replication_status: ReplicationState
    transmit_mode: TransmitMode
    target_status: TargetStatus
    target_data_state: TargetDataState
    epoch: Epoch | None
    current: float
    recovery_point_latency: float | None
    connected_since: float
    capture_rung: Rung
    events_per_second: float
    overflows: int
    changed_names: int
    queue_bytes: int
    queue_operations: int
    disk_queue_bytes: int
    disk_queue_operations: int
    sent_files: int
    sent_bytes: int
    sent_compressed_bytes: int
    orphans_removed: int
    failed_paths: int
    problems_total: int
    last_file_touched: str
    problem: str


@dataclass(frozen=True)
class ReplicationSample:
    """A line of a replication's history: ReplicationReport's fields of these names at the Unix time ``at``.

    ``epoch`` is the number of the last one, 0 for none; ``latency`` is -1 while there is none;
    ``events`` counts since the start.
    """

    at: float
    state: ReplicationState
    epoch: int
    latency: float
    events: int
    overflows: int
    changed_names: int
    queue_bytes: int
    queue_operations: int
    disk_queue_bytes: int
    disk_queue_operations: int
    sent_files: int
    sent_bytes: int
    sent_compressed_bytes: int
