"""``dtesx job pause``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import output, session
from dtesx.cli.params import Job, Json

Target = Annotated[
    bool,
    typer.Option("--target", help="Pause the job's target instead, whatever the job does."),
]


def pause_job(job: Job, target: Target = False, json: Json = False) -> None:
    """Pause the mirror or replication of a job, or its target.

    A paused mirror reads nothing more; what it has queued still travels. A paused replication sends
    nothing, but follows what changes. A paused target completes what is in
    progress and applies nothing more, so that its files stay as they are; what arrives is queued on the
    source, up to its limits. dtesx job resume goes on where it was.
    """
    api = session.appliance()
    if target:
        pending = api.pause_target(job).pending
        state = "being paused: an operation is still in progress" if pending else "paused"
        text = f"the target of {job} is {state}"
    else:
        api.pause_mirror(job)
        text = f"{job} is paused"
    if json:
        output.document(api.job(job))
    else:
        output.line(f"{text}; go on with: dtesx job resume {job}{' --target' if target else ''}")
