"""Jobs: what the administrator asks for (JobSpec) and where a job stands (JobState)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from dtesx.model.link import LinkSpec
from dtesx.model.replica import ReplicaSpec
from dtesx.model.snapshots import SnapshotSpec
from dtesx.model.specs import FailoverSpec, MirrorSpec, ReplicationSpec, WorkloadSpec
from dtesx.model.target import TargetOptions

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class JobSpec:
    """A full-server-to-ESX job as written in ``job.yaml``.

    ``source`` and ``vmware`` are names given with ``dtesx server add`` and ``dtesx vmware add``.
    ``route`` is the appliance's address as the source reaches it; empty means the address from
    which the appliance reaches the source.
    """

    name: str
    source: str
    vmware: str
    replica: ReplicaSpec
    mirror: MirrorSpec = MirrorSpec()
    replication: ReplicationSpec = ReplicationSpec()
    link: LinkSpec = LinkSpec()
    target: TargetOptions = TargetOptions()
    workload: WorkloadSpec = WorkloadSpec()
    snapshots: SnapshotSpec = SnapshotSpec()
    failover: FailoverSpec = FailoverSpec()
    route: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} must be 1-63 lower-case letters, digits and hyphens")

    @property
    def replica_name(self) -> str:
        """The replica's display name in vSphere."""
        return self.replica.name or f"{self.name}-replica"


class JobState(StrEnum):
    """Where a job stands. The ``-failed`` states keep everything that was done and can be resumed."""

    CREATED = "created"
    PROTECTING = "protecting"
    PROTECT_FAILED = "protect-failed"
    PROTECTED = "protected"
    MIRRORING = "mirroring"
    MIRROR_FAILED = "mirror-failed"
    SNAPSHOTTING = "snapshotting"
    SNAPSHOT_FAILED = "snapshot-failed"
    FAILING_OVER = "failing-over"
    FAILOVER_FAILED = "failover-failed"
    FAILED_OVER = "failed-over"
    DELETING = "deleting"
    DELETE_FAILED = "delete-failed"


class OperationKind(StrEnum):
    """The things that can be done to a job; each is a list of persisted, repeatable steps."""

    PROTECT = "protect"
    MIRROR = "mirror"
    SNAPSHOT = "snapshot"
    FAILOVER = "failover"
    DELETE = "delete"


class StepState(StrEnum):
    """The life of one step; INTERRUPTED is what a killed service leaves behind."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Problem:
    """An error as data: what happened and what to do next."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Step:
    """One step of an operation. Times are Unix seconds; ``detail`` is the last progress line."""

    name: str
    title: str
    state: StepState = StepState.PENDING
    started: float = 0.0
    ended: float = 0.0
    detail: str = ""
    fraction: float = -1.0

    @property
    def seconds(self) -> float:
        """How long the step took; 0 while it runs."""
        return max(0.0, self.ended - self.started) if self.ended else 0.0


@dataclass(frozen=True)
class Operation:
    """One run of an operation on a job, with its steps and, if it failed, its problem.

    ``params`` are what the user asked for (``final_mirror``, ``description``, ``keep_replica``),
    ``result`` what came out (``address``, ``snapshot``).
    """

    id: str
    job: str
    kind: OperationKind
    state: StepState
    steps: tuple[Step, ...]
    started: float
    ended: float = 0.0
    problem: Problem | None = None
    params: dict[str, str] = field(default_factory=dict)
    result: dict[str, str] = field(default_factory=dict)


STATES: dict[OperationKind, tuple[JobState, JobState, JobState]] = {
    OperationKind.PROTECT: (JobState.PROTECTING, JobState.PROTECTED, JobState.PROTECT_FAILED),
    OperationKind.MIRROR: (JobState.MIRRORING, JobState.PROTECTED, JobState.MIRROR_FAILED),
    OperationKind.SNAPSHOT: (JobState.SNAPSHOTTING, JobState.PROTECTED, JobState.SNAPSHOT_FAILED),
    OperationKind.FAILOVER: (JobState.FAILING_OVER, JobState.FAILED_OVER, JobState.FAILOVER_FAILED),
    OperationKind.DELETE: (JobState.DELETING, JobState.CREATED, JobState.DELETE_FAILED),
}
"""Job states while an operation runs, after it succeeded, after it failed (docs/states.md)."""
