"""``dtesx job list``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.formats import moment
from dtesx.cli.params import Json


def list_jobs(json: Json = False) -> None:
    """List the jobs with their states."""
    jobs = session.appliance().jobs()
    if json:
        output.document(list(jobs))
        return
    output.table(
        ("NAME", "STATE", "SOURCE", "VMWARE", "REPLICA", "LAST MIRROR"),
        [
            (j.spec.name, j.state, j.spec.source, j.spec.vmware, j.spec.replica_name, moment(j.mirrored_at))
            for j in jobs
        ],
        empty="no jobs yet: dtesx job create -f job.yaml",
    )
