"""``dtesx job pause``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.params import Job, Json


def pause_job(job: Job, json: Json = False) -> None:
    """Pause the mirror of a job that is under way.

    The source reads nothing more; what it has queued still travels. dtesx job resume goes on where
    the mirror was.
    """
    api = session.appliance()
    api.pause_mirror(job)
    if json:
        output.document(api.job(job))
    else:
        output.line(f"the mirror of {job} is paused; go on with: dtesx job resume {job}")
