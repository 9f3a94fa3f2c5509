"""Stand-ins for what surrounds the manager: an executor that waits to be told, and no VMware."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from dtesx.base.errors import Conflict, ConnectionFailed, NotFound
from dtesx.management.records import KnownVmware, PairedServer
from dtesx.management.store import Store
from dtesx.model.api import MirrorStatus, ServerInfo, SourceReplication
from dtesx.model.capture import CaptureStatus
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.job import (
    STATES,
    JobSpec,
    JobState,
    Operation,
    OperationKind,
    Problem,
    Step,
    StepState,
)
from dtesx.model.record import JobRecord
from dtesx.model.replica import ReplicaSpec
from dtesx.model.replication import ReplicationPhase, ReplicationReport, ReplicationStatus
from dtesx.model.request import MirrorPhase, ReplicationRequest
from dtesx.model.target import Paused, WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.model.tasks import Task
from dtesx.model.vmware import Snapshot, VmwareServer
from dtesx.recovery.ports import Surroundings
from dtesx.replication.continuous.reporting import report

REPORT = report(
    ReplicationStatus(ReplicationPhase.REPLICATING, Epoch(7, EpochKind.FUZZY, 90.0), 95.0),
    CaptureStatus(),
    source="/",
    target="10.0.0.1:1500",
    at=100.0,
    started=1.0,
    events_per_second=0.0,
)
TASKS = {"backup": Task(("true",))}
SPEC = JobSpec("alpha", source="alpha", vmware="vc", replica=ReplicaSpec(datastore="ds1"))


def furnished(directory: Path) -> Store:
    """A store that knows the source and the VMware server of SPEC."""
    store = Store(directory)
    store.add_server(
        PairedServer(ServerInfo("alpha", "127.0.0.1", 6325, "alpha", "AA"), "PEM", "bearer-secret")
    )
    store.add_vmware(KnownVmware(VmwareServer("vc", "127.0.0.1", "root"), "appliance", "uuid", "vc-secret"))
    return store


@dataclass
class FakeExecutor:
    """One step an operation; ``go`` lets it end, ``fail`` makes it fail, ``die`` kills the thread."""

    go: threading.Event = field(default_factory=threading.Event)
    fail: bool = False
    die: bool = False
    executed: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    number: int = 0

    def allowed(self, state: JobState, kind: OperationKind) -> None:
        if state is JobState.FAILED_OVER and kind is not OperationKind.DELETE:
            raise Conflict("has failed over", hint="delete it")

    def new_operation(self, record: JobRecord, kind: OperationKind, params: dict[str, str]) -> Operation:
        self.number += 1
        step = Step("only", "The only step")
        name = f"op-{record.id}-{self.number}"
        return Operation(name, record.id, kind, StepState.PENDING, (step,), 1.0, params=params)

    def resume(self, operation: Operation) -> Operation:
        self.resumed.append(operation.id)
        return replace(operation, state=StepState.PENDING, problem=None)

    def interrupt(self, operation: Operation) -> Operation:
        return replace(
            operation, state=StepState.INTERRUPTED, problem=Problem("interrupted", "cut off", "again")
        )

    def execute(
        self, operation: Operation, record: JobRecord, surroundings: Surroundings
    ) -> tuple[Operation, JobRecord]:
        journal = surroundings.journal
        running, succeeded, failed = STATES[operation.kind]
        self.executed.append(operation.id)
        operation = replace(operation, state=StepState.RUNNING)
        record = replace(record, state=running)
        journal.save_job(record)
        journal.save_operation(operation)
        while not self.go.wait(0.01):
            if surroundings.cancel.is_set() and not self.go.is_set():
                operation = replace(operation, state=StepState.INTERRUPTED)
                record = replace(record, state=failed)
                journal.save_job(record)
                journal.save_operation(operation)
                return operation, record
        if self.die:
            raise RuntimeError("the thread dies as the process would")
        record = replace(record, state=failed if self.fail else succeeded, replica_ref="vm-7")
        operation = replace(
            operation,
            state=StepState.FAILED if self.fail else StepState.DONE,
            problem=Problem("connection", "vCenter is away", "start it") if self.fail else None,
        )
        journal.save_job(record)
        journal.save_operation(operation)
        return operation, record


@dataclass
class FakeWorkers:
    """No worker, or one whose report is set."""

    report: WorkerStatus | None = None
    halted: bool = False
    last: Epoch | None = None
    started: list[WorkerSpec] = field(default_factory=list)

    def start(self, spec: WorkerSpec) -> WorkerStatus:
        self.started.append(spec)
        self.report = WorkerStatus(WorkerPhase.LISTENING, 1)
        return self.report

    def stop(self, job: str) -> None:
        return None

    def status(self, job: str) -> WorkerStatus | None:
        return self.report

    def pause(self, job: str) -> Paused:
        self.halted = True
        return Paused(all=True)

    def resume(self, job: str) -> Paused:
        self.halted = False
        return Paused()

    def paused(self, job: str) -> bool:
        return self.halted

    def epoch(self, job: str) -> Epoch | None:
        return self.last

    def unsettled(self, job: str) -> bool:
        return False

    def free_port(self) -> int:
        return 1500

    @contextmanager
    def listening(self, job: str, port: int) -> Iterator[int]:
        yield port or 1500


@dataclass
class FakeSource:
    """A source with at most one mirror (``phase``) and one replication; ``away``: it answers nobody."""

    phase: MirrorPhase | None = None
    orders: list[str] = field(default_factory=list)
    requests: list[ReplicationRequest] = field(default_factory=list)
    replicates: ReplicationReport | None = None
    problem: Problem | None = None
    away: bool = False
    certificate: str = "PEM"

    def local_address(self) -> str:
        self._answer()
        return "10.0.0.1"

    def start_replication(self, request: ReplicationRequest) -> SourceReplication:
        self._answer()
        self.requests.append(request)
        self.replicates = replace(self.replicates or REPORT, running=True)
        return self.replication(request.job)

    def replication(self, job: str) -> SourceReplication:
        self._answer()
        if self.replicates is None:
            raise NotFound(f"job {job} does not replicate here", hint="start it")
        return SourceReplication(job, self.replicates, self.problem)

    def stop_replication(self, job: str) -> None:
        self._answer()
        self.orders.append(f"stop replication {job}")
        if self.replicates is not None:
            self.replicates = replace(self.replicates, running=False)

    def forget_replication(self, job: str) -> None:
        self.stop_replication(job)

    def _answer(self) -> None:
        if self.away:
            raise ConnectionFailed("the source does not answer", hint="look at it")

    def mirror_status(self, job: str) -> MirrorStatus:
        if self.phase is None:
            raise NotFound(f"there is no mirror of job {job} here", hint="start one")
        return MirrorStatus(job, self.phase)

    def pause_mirror(self, job: str) -> None:
        self.orders.append(f"pause {job}")

    def resume_mirror(self, job: str) -> None:
        self.orders.append(f"resume {job}")

    def stop_mirror(self, job: str) -> None:
        self.orders.append(f"stop {job}")


@dataclass
class FakeSite:
    """Surroundings with the real store as journal; vSphere holds ``snapshots``."""

    store: Store
    workers: FakeWorkers = field(default_factory=FakeWorkers)
    snapshots: tuple[Snapshot, ...] = ()
    source: FakeSource = field(default_factory=FakeSource)
    error: Exception | None = None

    @contextmanager
    def __call__(self, record: JobRecord, cancel: threading.Event) -> Iterator[Surroundings]:
        if self.error is not None:
            raise self.error
        yield Surroundings(
            source=cast(Any, self.source),
            vsphere=cast(Any, self.vsphere),
            workers=self.workers,
            journal=self.store,
            certificate="PEM",
            appliance_vm="appliance",
            directory=Path("/nonexistent"),
            identity_directory=Path("/nonexistent"),
            tasks=TASKS,
            cancel=cancel,
        )

    @contextmanager
    def vsphere(self) -> Iterator[Any]:
        held = self.snapshots

        class Held:
            def snapshots(self, _ref: str) -> tuple[Snapshot, ...]:
                return held

        yield Held()
