"""``dtesx job delete``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import ask, output, session, watching
from dtesx.cli.params import Job, Json, Yes

DeleteReplica = Annotated[
    bool, typer.Option("--delete-replica", help="Destroy the replica VM and its disks too.")
]


def delete_job(job: Job, delete_replica: DeleteReplica = False, yes: Yes = False, json: Json = False) -> None:
    """Delete a job.

    The replica VM is kept unless --delete-replica is given. The source is not touched.
    """
    fate = "DESTROY its replica VM with all disks" if delete_replica else "keep its replica VM"
    ask.confirm(f"Delete job {job} and {fate}?", yes=yes)
    api = session.appliance()
    operation = api.delete_job(job, keep_replica=not delete_replica)
    flag = " --delete-replica" if delete_replica else ""
    operation = watching.finish(api, operation, job, as_json=json, again=f"dtesx job delete {job}{flag}")
    if json:
        output.document(operation)
    else:
        output.line(f"{job} is deleted")
