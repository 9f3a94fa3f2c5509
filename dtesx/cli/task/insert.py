"""``dtesx task insert``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import ExitCode, NotFound, UsageError, from_code
from dtesx.cli import output
from dtesx.cli.formats import moment, seconds
from dtesx.cli.params import Json
from dtesx.cli.replication_options import LONGEST, Job, State, To, directory, only_job
from dtesx.model.epoch import EpochKind
from dtesx.model.tasks import TaskOutcome, TaskReport, TaskRequest, TaskResult

_POLL = 0.5

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A task of the target, or of the appliance: their --tasks."),
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0.0, help="Wait for its end at most so long.")
]
Consistent = Annotated[
    bool, typer.Option("--consistent", help="After an epoch that is not fuzzy: all of it of one moment.")
]


def insert(
    name: Name,
    to: To = "",
    wait: Wait = 3600.0,
    consistent: Consistent = False,
    state: State = None,
    job: Job = "",
    json: Json = False,
) -> int:
    """Run a command of the target between two epochs.

    It runs when all that is written by now is applied there, and nothing that is written later is
    applied before it has ended. It runs at most once. Returns when it has ended, with the end of what it
    wrote.

    Exit code 1 says that it failed, or that the replica was not quite what it should be then: some
    paths could not be replicated, or the epoch is fuzzy although --consistent was given.
    """
    if wait > LONGEST:
        raise UsageError(f"--wait: at most {LONGEST:.0f} seconds")
    request = TaskRequest(name, consistent, wait)
    report = _in_job(job, request) if only_job(job, state, to) else _here(directory(state, to), request)
    result = report.result
    if result.outcome is TaskOutcome.UNKNOWN:
        raise NotFound(f"the target has no task {name}", hint="its administrator names tasks: --tasks FILE")
    if json:
        output.document(report)
    else:
        for line in result.output.splitlines():
            output.line(line)
        output.line(describe(report))
    short = report.failed or (consistent and result.epoch.kind is EpochKind.FUZZY)
    return ExitCode.OK if result.well and not short else ExitCode.PROBLEMS


def _here(place: Path, request: TaskRequest) -> TaskReport:
    from dtesx.management import replications

    return replications.task(place, request)


def _in_job(job: str, request: TaskRequest) -> TaskReport:
    from dtesx.cli import session

    appliance = session.appliance()
    insertion = appliance.insert_task(job, request)
    while not insertion.over:
        time.sleep(_POLL)
        insertion = appliance.task(job, insertion.id)
    if insertion.report is not None:
        return insertion.report
    assert insertion.problem is not None
    raise from_code(insertion.problem.code, insertion.problem.message, insertion.problem.hint)


def describe(report: TaskReport) -> str:
    """What became of a task, in one line."""
    result = report.result
    epoch = f"epoch {result.epoch.number}, {result.epoch.kind}, of {moment(result.epoch.taken)}"
    text = f"{result.name}: {_end(result)}, after {epoch}"
    return f"{text}; {report.failed} paths could not be replicated" if report.failed else text


def _end(result: TaskResult) -> str:
    lasted = f"after {seconds(result.seconds)}"
    return {
        TaskOutcome.ENDED: f"exit status {result.status} {lasted}",
        TaskOutcome.TIMEOUT: f"ended {lasted}, as its time was over",
        TaskOutcome.INTERRUPTED: "the target ended while it ran; it is not run again",
        TaskOutcome.FAILED: "it could not be started",
        TaskOutcome.UNKNOWN: "the target has no such task",
    }[result.outcome]
