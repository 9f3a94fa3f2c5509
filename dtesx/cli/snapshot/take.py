"""``dtesx snapshot take``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import output, session, watching
from dtesx.cli.params import Job, Json
from dtesx.model.api import NewSnapshot

Description = Annotated[str, typer.Option("--description", "-d", help="A note for people.")]


def take_snapshot(job: Job, description: Description = "", json: Json = False) -> None:
    """Take a recovery point now.

    Writing to the replica pauses, its disks are snapshotted in vSphere, writing goes on.
    """
    api = session.appliance()
    operation = api.take_snapshot(job, NewSnapshot(description=description))
    operation = watching.finish(api, operation, job, as_json=json, again=f"dtesx snapshot take {job}")
    if json:
        output.document(operation)
    else:
        output.line(f"recovery point {operation.result.get('snapshot', '')} of {job} is taken")
