"""Follows an operation on the appliance until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from dtesx.base.errors import ConnectionFailed, DtesxError, Interrupted, from_code
from dtesx.cli import steps
from dtesx.cli.api import Api
from dtesx.model.job import Operation, OperationKind, StepState

_POLL_SECONDS = 0.5
# A restarting appliance is away for some seconds; its operations survive that.
_AWAY_SECONDS = 60.0

_TITLES = {
    OperationKind.PROTECT: "Protecting",
    OperationKind.MIRROR: "Mirroring",
    OperationKind.SNAPSHOT: "Taking a recovery point of",
    OperationKind.FAILOVER: "Failing over",
    OperationKind.DELETE: "Deleting",
}


def is_running(operation: Operation) -> bool:
    """Whether the operation has not ended yet."""
    return operation.state in (StepState.PENDING, StepState.RUNNING)


def title(operation: Operation, job: str) -> str:
    """What the operation does to the job of that name, for people."""
    return f"{_TITLES[operation.kind]} {job}"


def follow(
    api: Api,
    operation: Operation,
    job: str,
    view: steps.StepsView,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Operation:
    """Show ``operation`` on ``job`` in ``view`` until it ends and return it as it ended, failed or not.

    Ctrl-C ends the watching only: it raises Interrupted, the operation goes on. ConnectionFailed
    is raised when the appliance stays away for a minute.
    """
    try:
        view.show(title(operation, job), operation.steps)
        answered = clock()
        while is_running(operation):
            sleep(_POLL_SECONDS)
            try:
                operation = api.operation(operation.id)
                answered = clock()
            except ConnectionFailed:
                if clock() - answered > _AWAY_SECONDS:
                    raise
            view.show(title(operation, job), operation.steps)
    except KeyboardInterrupt:
        raise Interrupted(
            f"no longer watching; {operation.kind} of {job} goes on on the appliance",
            hint=f"look at it with: dtesx job watch {job}",
        ) from None
    finally:
        view.close()
    return operation


def conclude(operation: Operation, job: str, *, again: str) -> None:
    """Raise the problem with which ``operation`` ended; ``again`` is the command that resumes it."""
    if operation.state is StepState.DONE:
        return
    if operation.state is StepState.INTERRUPTED:
        raise DtesxError(
            f"{operation.kind} of {job} was interrupted: the appliance's service stopped",
            hint=f"what was done is kept; go on with: {again}",
        )
    problem = operation.problem
    if problem is None:
        raise DtesxError(f"{operation.kind} of {job} failed", hint=f"go on with: {again}")
    hint = f"{problem.hint}; then go on with: {again}" if problem.hint else f"go on with: {again}"
    raise from_code(problem.code, problem.message, hint)


def finish(api: Api, operation: Operation, job: str, *, as_json: bool, again: str) -> Operation:
    """Follow ``operation`` in the view that suits; raise its problem if it failed."""
    ended = follow(api, operation, job, steps.view(as_json=as_json))
    conclude(ended, job, again=again)
    return ended
