"""``dtesx job resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import output, session
from dtesx.cli.params import Job, Json

Target = Annotated[bool, typer.Option("--target", help="Resume the job's target instead.")]


def resume_job(job: Job, target: Target = False, json: Json = False) -> None:
    """Have a job's mirror, replication or target go on."""
    api = session.appliance()
    if target:
        api.resume_target(job)
    else:
        api.resume_mirror(job)
    if json:
        output.document(api.job(job))
    else:
        output.line(f"{'the target of ' if target else ''}{job} goes on")
