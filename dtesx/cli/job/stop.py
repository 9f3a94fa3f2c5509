"""``dtesx job stop``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.params import Job, Json


def stop_job(job: Job, json: Json = False) -> None:
    """Stop the mirror of a job, or its replication.

    What has arrived stays on the replica. dtesx job mirror starts another mirror, which sends what
    differs, and then the replication; a job whose first mirror was stopped goes on with dtesx job create.
    """
    api = session.appliance()
    api.stop_mirror(job)
    if json:
        output.document(api.job(job))
    else:
        output.line(f"{job} is stopped; go on with: dtesx job mirror {job}")
