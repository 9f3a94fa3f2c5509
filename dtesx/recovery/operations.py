"""The operations on a job: which steps they have, when they are allowed, and how they run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from dtesx.base.errors import Conflict, DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.model.job import (
    STATES,
    JobState,
    Operation,
    OperationKind,
    Problem,
    Step,
    StepState,
)
from dtesx.model.record import JobRecord
from dtesx.recovery import failover, health, protect, removal, replication, snapshots, transfer
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run, problem_of

log = get_logger(__name__)


@dataclass(frozen=True)
class Definition:
    """A step as code.

    A ``volatile`` step makes something that a restart undoes (a mount, a process), or sees something that
    people set right meanwhile, so a resumed operation repeats it even when it was done before.
    """

    name: str
    title: str
    action: Callable[[Run], None]
    volatile: bool = False


_ATTACH = Definition("attach", "Hand the disks to the appliance", transfer.attach, volatile=True)
_WORKER = Definition("worker", "Mount the replica and start its worker", transfer.start_worker, True)
_CHECK = Definition("check", "Look whether the replica would start", health.look)
_REPLICATE = Definition("replicate", "Go on with what changes", replication.replicate, volatile=True)
_STOP = Definition("pause", "Pause the worker and unmount the replica", transfer.stop_worker, True)
_DETACH = Definition("detach", "Take the disks from the appliance", transfer.detach, volatile=True)

OPERATIONS: dict[OperationKind, tuple[Definition, ...]] = {
    OperationKind.PROTECT: (
        Definition("inventory", "Take the source's inventory", protect.take_inventory, volatile=True),
        Definition("plan", "Plan the replica's disks", protect.plan),
        Definition("existing", "Look at the existing disks", protect.look_at_existing),
        Definition("create-vm", "Create the replica VM", protect.create_replica),
        _ATTACH,
        Definition("prepare", "Partition the disks and make file systems", protect.prepare),
        _WORKER,
        Definition("mirror", "Mirror all files", transfer.mirror),
        _CHECK,
        _REPLICATE,
    ),
    OperationKind.MIRROR: (
        _ATTACH,
        _WORKER,
        Definition("mirror", "Mirror what changed", transfer.mirror),
        _CHECK,
        _REPLICATE,
    ),
    OperationKind.SNAPSHOT: (
        Definition("check", "Ask vSphere whether it can be done now", snapshots.check, volatile=True),
        Definition("point", "Have the replica get what was written last", replication.recent_point),
        _STOP,
        _DETACH,
        Definition("snapshot", "Take the VMware snapshot", snapshots.take),
        Definition("expire", "Remove recovery points that are too many", snapshots.expire),
        _ATTACH,
        _WORKER,
    ),
    OperationKind.FAILOVER: (
        Definition("before", "Run what the job wants to be run before", failover.run_before),
        Definition("final-mirror", "Send what was written last", failover.final_mirror),
        Definition("fence", "Make sure the source is down", failover.fence, volatile=True),
        _STOP,
        Definition("boot", "Make the replica bootable", failover.make_bootable),
        _DETACH,
        Definition("power-on", "Start the replica", failover.power_on),
        Definition("address", "Wait for the replica's address", failover.wait_for_address),
    ),
    OperationKind.DELETE: (
        Definition("stop-mirror", "Stop the source's mirror and replication", removal.stop_mirror),
        Definition("pause", "Pause the worker and unmount the replica", transfer.end_worker, volatile=True),
        _DETACH,
        Definition("replica", "Keep or remove the replica VM", removal.remove_replica),
        Definition("clean", "Clean the job's directory", removal.clean),
    ),
}

# Steps that bring a job back to work, or leave the appliance clean, when an operation fails half-way.
_ROLLBACK: dict[OperationKind, tuple[Definition, ...]] = {
    OperationKind.PROTECT: (Definition("let-go", "Let disks go that hold no files yet", protect.let_go),),
    OperationKind.SNAPSHOT: (_ATTACH, _WORKER),
}

_K = OperationKind
_LIVE = {
    JobState.PROTECTED,
    JobState.MIRROR_FAILED,
    JobState.SNAPSHOT_FAILED,
}
_FROM: dict[OperationKind, set[JobState]] = {
    _K.PROTECT: {JobState.CREATED, JobState.PROTECT_FAILED},
    _K.MIRROR: _LIVE | {JobState.FAILOVER_FAILED},
    _K.SNAPSHOT: _LIVE - {JobState.MIRROR_FAILED},
    _K.FAILOVER: _LIVE | {JobState.FAILOVER_FAILED},
    _K.DELETE: set(JobState) - {running for running, _, _ in STATES.values()},
}

_NEXT: dict[JobState, str] = {
    JobState.CREATED: "run `dtesx job create` with the same file to protect the server first",
    JobState.PROTECT_FAILED: "run `dtesx job create` with the same file to finish its protection",
    JobState.MIRROR_FAILED: "run `dtesx job mirror` until it succeeds",
    JobState.FAILOVER_FAILED: "run the failover again to finish it, or `dtesx job mirror` to go back",
    JobState.FAILED_OVER: "the replica has taken over; delete the job when it is no longer needed",
    JobState.DELETE_FAILED: "run the deletion again",
    JobState.PROTECTED: "it is protected already",
    JobState.SNAPSHOT_FAILED: "take the snapshot again, or mirror",
}


def allowed(state: JobState, kind: OperationKind) -> None:
    """Raise Conflict unless an operation may start while the job is in ``state``."""
    if state in _FROM[kind]:
        return
    hint = _NEXT.get(state, "wait until the running operation ends: `dtesx job watch`")
    raise Conflict(f"a job that is {state.value} cannot start: {kind.value}", hint=hint)


def new_operation(record: JobRecord, kind: OperationKind, params: dict[str, str]) -> Operation:
    """An operation with all its steps pending."""
    steps = tuple(Step(d.name, d.title) for d in OPERATIONS[kind])
    return Operation(
        id=uuid.uuid4().hex[:12],
        job=record.id,
        kind=kind,
        state=StepState.PENDING,
        steps=steps,
        started=time.time(),
        params=dict(params),
    )


def resume(operation: Operation) -> Operation:
    """The same operation to be gone on with: done steps stay done unless they are volatile."""
    volatile = {d.name for d in OPERATIONS[operation.kind] if d.volatile}
    steps = tuple(
        step if step.state is StepState.DONE and step.name not in volatile else Step(step.name, step.title)
        for step in operation.steps
    )
    return replace(operation, steps=steps, state=StepState.PENDING, problem=None, ended=0.0)


def interrupt(operation: Operation) -> Operation:
    """What a restarted service makes of an operation that was running when it died."""
    steps = tuple(
        replace(s, state=StepState.INTERRUPTED) if s.state is StepState.RUNNING else s
        for s in operation.steps
    )
    problem = Problem(
        Interrupted.code,
        f"the management service ended while {operation.kind.value} was running",
        "run the same command again to go on",
    )
    return replace(operation, steps=steps, state=StepState.INTERRUPTED, problem=problem, ended=time.time())


def execute(
    operation: Operation, record: JobRecord, surroundings: Surroundings
) -> tuple[Operation, JobRecord]:
    """Run the pending steps of an operation; what went wrong is in the returned operation.

    Every change is saved through the journal before the next begins. An error that is not a
    DtesxError is a defect of ours: it is logged with its traceback and reported as such.
    """
    running, succeeded, failed = STATES[operation.kind]
    run = Run(replace(operation, state=StepState.RUNNING), record, surroundings)
    run.keep(replace(record, state=running))
    try:
        for definition in OPERATIONS[operation.kind]:
            step = next(s for s in run.operation.steps if s.name == definition.name)
            if step.state is not StepState.DONE:
                run.step(definition.name, definition.action)
    except DtesxError as error:
        _fail(run, failed, problem_of(error), interrupted=isinstance(error, Interrupted))
    except Exception as error:
        log.error("operation failed", exc_info=True, job=record.spec.name, kind=operation.kind.value)
        text = f"{type(error).__name__}: {error}"
        hint = "this is a defect in dtesx: please report it with the service's log"
        _fail(run, failed, Problem("defect", text, hint), interrupted=False)
    else:
        run.keep(replace(run.record, state=succeeded))
        run.end(StepState.DONE, None)
    return run.operation, run.record


def _fail(run: Run, state: JobState, problem: Problem, *, interrupted: bool) -> None:
    if not interrupted:
        _roll_back(run)
    run.keep(replace(run.record, state=state))
    run.end(StepState.INTERRUPTED if interrupted else StepState.FAILED, problem)


def _roll_back(run: Run) -> None:
    """Do what can be done: where vSphere is away, the worker still finds disks that never left."""
    for definition in _ROLLBACK.get(run.operation.kind, ()):
        try:
            definition.action(run)
        except DtesxError as error:
            # The first error is the one to report; this one only says that help came too late.
            log.warning("rolling back failed", step=definition.name, reason=error.message)
