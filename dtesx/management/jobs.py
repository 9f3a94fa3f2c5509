"""Jobs: one operation at a time each, in a thread, resumed by repeating the same command."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from typing import Protocol

from dtesx.base.errors import Conflict, DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.management.replica_watch import ReplicaWatch
from dtesx.management.store import Store
from dtesx.management.tending import Tending
from dtesx.model.api import FailoverRequest, JobInfo, NewSnapshot, SnapshotInfo
from dtesx.model.job import (
    STATES,
    JobSpec,
    JobState,
    Operation,
    OperationKind,
    Problem,
    StepState,
)
from dtesx.model.record import JobRecord
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase
from dtesx.model.vmware import VirtualMachine
from dtesx.recovery.ports import Site, Surroundings, Workers

log = get_logger(__name__)

_END_SECONDS = 10.0
_OPEN = (StepState.PENDING, StepState.RUNNING)
_UNPROTECTED = (JobState.CREATED, JobState.PROTECT_FAILED)
_DELETION = (JobState.DELETING, JobState.DELETE_FAILED)
_AT_WORK = (WorkerPhase.RECEIVING, WorkerPhase.PAUSED, WorkerPhase.TARGET_FULL)
_UNFINISHED = (StepState.FAILED, StepState.INTERRUPTED)


class Executor(Protocol):
    """The operations themselves (recovery.operations)."""

    def allowed(self, state: JobState, kind: OperationKind) -> None: ...

    def new_operation(self, record: JobRecord, kind: OperationKind, params: dict[str, str]) -> Operation: ...

    def resume(self, operation: Operation) -> Operation: ...

    def interrupt(self, operation: Operation) -> Operation: ...

    def execute(
        self, operation: Operation, record: JobRecord, surroundings: Surroundings
    ) -> tuple[Operation, JobRecord]: ...


class Jobs:
    """All jobs of this appliance; ``cancel`` interrupts what runs."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        workers: Workers,
        site: Site,
        tending: Tending,
        watch: ReplicaWatch,
        cancel: threading.Event,
    ) -> None:
        self._store, self._executor, self._workers, self._site = store, executor, workers, site
        self._tending, self._watch, self._cancel = tending, watch, cancel
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}

    # --- what users ask for

    def create(self, spec: JobSpec, *, rebind: bool = False) -> JobInfo:
        """Make a job and protect its source; the same spec again goes on where it stopped.

        With ``rebind`` the first mirror goes on where it halted because the source's file systems
        were not what they had been.

        Raises NotFound when the source or the VMware server is not known, Conflict when there is
        another job of that name.
        """
        self._let_end(spec.name)
        with self._lock:
            record, params = self._store.find_job(spec.name), {"rebind": _yes(rebind)}
            if record is None:
                self._store.server(spec.source)
                self._store.vmware(spec.vmware)
                record = JobRecord(uuid.uuid4().hex[:12], spec, JobState.CREATED, time.time())
                self._begin(record, OperationKind.PROTECT, params)
            elif record.spec != spec:
                raise Conflict(
                    f"there is a job {spec.name} already, and it is another one",
                    hint="choose another name, delete that job first, or repeat its own file to resume it",
                )
            elif record.state in _DELETION:
                raise Conflict(
                    f"job {spec.name} is being deleted",
                    hint=f"wait until it is gone (dtesx job watch {spec.name}), or repeat the deletion",
                )
            elif record.state in _UNPROTECTED and record.id not in self._running:
                self._begin(record, OperationKind.PROTECT, params)
        return self.info(spec.name)

    def mirror(self, name: str, *, rebind: bool = False) -> Operation:
        """Mirror what changed since."""
        return self._start(name, OperationKind.MIRROR, {"rebind": _yes(rebind)})

    def take_snapshot(self, name: str, request: NewSnapshot) -> Operation:
        """Take a VMware snapshot of the replica."""
        return self._start(name, OperationKind.SNAPSHOT, {"description": request.description})

    def failover(self, name: str, request: FailoverRequest) -> Operation:
        """Start the replica in the source's place."""
        return self._start(name, OperationKind.FAILOVER, {"final_mirror": _yes(request.final_mirror)})

    def delete(self, name: str, *, keep_replica: bool) -> Operation:
        """End the protection; the replica VM is kept or destroyed."""
        return self._start(name, OperationKind.DELETE, {"keep_replica": _yes(keep_replica)})

    def info(self, name: str) -> JobInfo:
        """A job with its last operation, and live figures while a mirror runs."""
        return self._shown(self._store.job(name))

    def all(self) -> tuple[JobInfo, ...]:
        """All jobs by name."""
        return tuple(self._shown(record) for record in self._store.jobs())

    def states(self) -> dict[str, str]:
        """The state of every job, by name."""
        return {record.spec.name: record.state.value for record in self._store.jobs()}

    def snapshots(self, name: str) -> tuple[SnapshotInfo, ...]:
        """The recovery points that vSphere holds of the job's replica, oldest first."""
        record = self._store.job(name)
        if not record.replica_ref:
            return ()
        with self._site(record, self._cancel) as site, site.vsphere() as vsphere:
            found = vsphere.snapshots(record.replica_ref)
        # Files were mirrored while the source was writing: such a point is fuzzy, never claimed more.
        points = (SnapshotInfo(s.name, s.created, "fuzzy", s.description) for s in found)
        return tuple(sorted(points, key=lambda point: point.created))

    # --- the service's life

    def recover(self) -> None:
        """At service start: name what a killed service left half-way, so that it can be resumed."""
        for operation in self._store.open_operations():
            stopped = self._executor.interrupt(operation)
            self._store.save_operation(stopped)
            log.warning("an operation was interrupted", operation=stopped.id, kind=stopped.kind.value)
        for record in self._store.jobs():
            self._settle(record)

    def close(self, seconds: float) -> bool:
        """Interrupt what runs and wait for it, at most ``seconds``; tell whether all has ended."""
        self._cancel.set()
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    # --- inside

    def _start(self, name: str, kind: OperationKind, params: dict[str, str]) -> Operation:
        self._let_end(name)
        with self._lock:
            record = self._store.job(name)
            last = self._store.last_operation(record.id)
            if record.id in self._running and last is not None:
                if (last.kind, last.params) == (kind, params):
                    return last
                raise Conflict(
                    f"job {name} is busy: {last.kind.value}",
                    hint=f"wait until it has ended: dtesx job watch {name}",
                )
            return self._begin(record, kind, params)

    def _let_end(self, name: str) -> None:
        """Wait for a thread whose operation has ended but which has not yet gone."""
        record = self._store.find_job(name)
        if record is None:
            return
        with self._lock:
            thread = self._running.get(record.id)
            last = self._store.last_operation(record.id)
        if thread is not None and last is not None and last.state not in _OPEN:
            thread.join(_END_SECONDS)

    def _begin(self, record: JobRecord, kind: OperationKind, params: dict[str, str]) -> Operation:
        """Start an operation, or go on with the same one when it stopped half-way (lock held)."""
        if self._cancel.is_set():
            raise Interrupted("the service is being stopped", hint="run the same command again later")
        self._executor.allowed(record.state, kind)
        last = self._store.last_operation(record.id)
        if (
            last is not None
            and last.state in _UNFINISHED
            and _asked(last.kind, last.params) == _asked(kind, params)
        ):
            operation = replace(self._executor.resume(last), params=params)
        else:
            operation = self._executor.new_operation(record, kind, params)
        record = replace(record, state=STATES[kind][0])
        self._store.begin(record, operation)
        thread = threading.Thread(
            target=self._run, args=(operation, record), name=f"job-{record.spec.name}", daemon=True
        )
        self._running[record.id] = thread
        thread.start()
        return operation

    def _run(self, operation: Operation, record: JobRecord) -> None:
        try:
            self._execute(operation, record)
        except Exception:
            # Only the store itself can fail here; at the next start `recover` puts the job right.
            log.error("an operation could not be recorded", exc_info=True, job=record.spec.name)
        finally:
            with self._lock:
                del self._running[record.id]

    def _execute(self, operation: Operation, record: JobRecord) -> None:
        try:
            with self._tending.turn(record.id), self._site(record, self._cancel) as site:
                self._executor.execute(operation, record, site)
        except DtesxError as error:  # of the surroundings: execute itself does not raise them
            problem = Problem(error.code, error.message, error.hint)
            failed = replace(operation, state=StepState.FAILED, problem=problem, ended=time.time())
            self._store.begin(replace(record, state=STATES[operation.kind][2]), failed)

    def _settle(self, record: JobRecord) -> None:
        """Bring a job's state in line with how its last operation ended."""
        last = self._store.last_operation(record.id)
        if last is None:
            return
        running, succeeded, failed = STATES[last.kind]
        if record.state is running:
            state = succeeded if last.state is StepState.DONE else failed
            self._store.save_job(replace(record, state=state))

    def _shown(self, record: JobRecord) -> JobInfo:
        operation = self._store.last_operation(record.id)
        return JobInfo(
            id=record.id,
            spec=record.spec,
            state=record.state,
            created=record.created,
            inventory=record.inventory,
            layout=record.layout,
            replica=_replica(record),
            vsphere=self._watch.problem(record),
            mirror=self._live(record) or record.mirror,
            mirrored_at=record.mirrored_at,
            health=record.health,
            replication=self._tending.shown(record),
            target_paused=self._workers.paused(record.id),
            bandwidth=self._store.bandwidth(record.id),
            operation=operation,
            problem=operation.problem if operation is not None else None,
        )

    def _live(self, record: JobRecord) -> MirrorStats | None:
        if record.id not in self._running:
            return None
        status = self._workers.status(record.id)
        return status.stats if status is not None and status.phase in _AT_WORK else None


def _replica(record: JobRecord) -> VirtualMachine | None:
    """The replica as dtesx knows it without asking vSphere."""
    if not record.replica_ref:
        return None
    return VirtualMachine(
        ref=record.replica_ref,
        name=record.spec.replica_name,
        uuid="",
        powered_on=record.state is JobState.FAILED_OVER,
        disks=record.disks,
        guest_address=record.address,
    )


def _asked(kind: OperationKind, params: dict[str, str]) -> tuple[OperationKind, dict[str, str]]:
    """What is to be done; to rebind is only a way of going on with it."""
    return kind, {name: value for name, value in params.items() if name != "rebind"}


def _yes(value: bool) -> str:
    return "yes" if value else "no"
