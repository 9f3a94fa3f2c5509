"""``dtesx job resume``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.params import Job, Json


def resume_job(job: Job, json: Json = False) -> None:
    """Have the paused mirror of a job go on where it was."""
    api = session.appliance()
    api.resume_mirror(job)
    if json:
        output.document(api.job(job))
    else:
        output.line(f"the mirror of {job} goes on; look at it with: dtesx job watch {job}")
