"""Continuous replication: how it is to be made, where it stands, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.capture import Rung
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.mirror import Compare
from dtesx.model.queue import QueueStatus
from dtesx.model.stats import MirrorStats


class ReplicationPhase(StrEnum):
    """Where a replication stands.

    SCHEDULED: what changed waits for its time. UNMIRRORED: it is not known what the target lacks, and
    nothing is sent until a mirror is asked for.
    """

    CONNECTING = "connecting"
    MIRRORING = "mirroring"
    REPLICATING = "replicating"
    PAUSED = "paused"
    SCHEDULED = "scheduled"
    UNMIRRORED = "unmirrored"


class Remirror(StrEnum):
    """How to mirror when more changed than could be told apart: not at all, by attributes, or by content."""

    NONE = "none"
    ATTRIBUTES = "attributes"
    DATA = "data"

    @property
    def compare(self) -> Compare:
        """What files are compared by; also what is mirrored on command when nothing is by itself."""
        return Compare.DATA if self is Remirror.DATA else Compare.ATTRIBUTES


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
    systems are frozen for at most ``freeze_budget`` seconds. ``remirror`` is how to mirror when more
    changed than the queue could tell apart. While a mirror and changes both have something to send, the
    mirror gets a part of the time for each ``mirror_ratio`` parts that changes get.
    """

    epoch: float = 2.0
    consistent_every: float = 15.0
    freeze_budget: float = 0.2
    remirror: Remirror = Remirror.ATTRIBUTES
    mirror_ratio: float = 5.0


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
    before, but for the paths that ``failed`` counts: they are tried again. ``problem`` is what keeps it from
    going on. ``waiting`` counts the names that changed and were not looked at yet, ``busy`` says whether an
    epoch is on its way. ``last_file`` is the path that was sent last.
    ``consistent`` is the last epoch applied that was of one moment, ``fuzzy`` why the latest one that was
    to be so was not (empty: it was), ``unquiesced`` why the applications were not prepared for it.
    ``hints`` are the bytes of memory that tell what changed and is not on the target; ``blurred``: so
    much did that whole directories are compared.
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
    unquiesced: str = ""
    freezes: FreezeStats = FreezeStats()
    hints: int = 0
    blurred: bool = False


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
    """Whether data travel: paused by the target or by command, stopped without a connection.

    ERROR: the same, with a problem. SCHEDULED: what waits has its time later.
    """

    STARTED = "started"
    PAUSED = "paused"
    SCHEDULED = "scheduled"
    STOPPED = "stopped"
    ERROR = "error"


class TargetDataState(StrEnum):
    """What the replica is worth: ok is what the source was at an epoch."""

    OK = "ok"
    MIRRORING = "mirroring"
    MIRROR_REQUIRED = "mirror-required"


@dataclass(frozen=True)
class ReplicationCounts:
    """What a replication counted from its start to the Unix time ``at``, and what waited then.

    ``sent_bytes`` are content of files, ``sent_compressed_bytes`` what crossed the link for it, both ways
    and with all that frames it.
    """

    at: float
    overflows: int
    changed_names: int
    queue_bytes: int
    queue_operations: int
    disk_queue_bytes: int
    disk_queue_operations: int
    sent_files: int
    sent_bytes: int
    sent_compressed_bytes: int


@dataclass(frozen=True)
class ReplicationReport(ReplicationCounts):
    """What a replication tells. Times are Unix seconds, 0 for never; counts are since ``started``.

    ``running``: the process that replicates answered. ``epoch`` is the last one applied on the target;
    all that was written before ``current`` is there (0: it never was whole), that is
    ``recovery_point_latency`` seconds ago (None: the same). ``consistent``, ``fuzzy``, ``unquiesced`` and
    ``freezes`` are those of ReplicationStatus.
    """

    source: str
    target: str
    running: bool
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
    orphans_removed: int
    failed_paths: int
    problems_total: int
    last_file_touched: str
    problem: str
    consistent: Epoch | None = None
    fuzzy: str = ""
    unquiesced: str = ""
    freezes: FreezeStats = FreezeStats()


@dataclass(frozen=True)
class ReplicationSample(ReplicationCounts):
    """A line of a replication's history.

    ``epoch`` is the number of the last one, 0 for none; ``latency`` is -1 while there is none;
    ``events`` counts since the start.
    """

    state: ReplicationState
    epoch: int
    latency: float
    events: int
