"""``dtesx snapshot list``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.formats import moment
from dtesx.cli.params import Job, Json


def list_snapshots(job: Job, json: Json = False) -> None:
    """List a job's recovery points, oldest first."""
    found = sorted(session.appliance().snapshots(job), key=lambda snapshot: snapshot.created)
    if json:
        output.document(found)
        return
    output.table(
        ("NAME", "TAKEN", "KIND", "DESCRIPTION"),
        [(s.name, moment(s.created), s.kind, s.description) for s in found],
        empty=f"no recovery points yet: dtesx snapshot take {job}",
    )
