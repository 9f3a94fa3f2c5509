"""``dtesx job list``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.formats import moment
from dtesx.cli.params import Json
from dtesx.model.validation import Verdict

_WORDS = {Verdict.PASSED: "yes", Verdict.WARNING: "with warnings", Verdict.ERROR: "no"}


def list_jobs(json: Json = False) -> None:
    """List the jobs with their states."""
    jobs = session.appliance().jobs()
    if json:
        output.document(list(jobs))
        return
    output.table(
        ("NAME", "STATE", "SOURCE", "VMWARE", "REPLICA", "LAST MIRROR", "WOULD START"),
        [
            (
                *(j.spec.name, j.state, j.spec.source, j.spec.vmware, j.spec.replica_name),
                *(moment(j.mirrored_at), _WORDS[j.health.verdict] if j.health else ""),
            )
            for j in jobs
        ],
        empty="no jobs yet: dtesx job create -f job.yaml",
    )
