"""``dtesx job watch``."""

from __future__ import annotations

from dtesx.cli import output, session, watching
from dtesx.cli.job.show import print_job
from dtesx.cli.params import Job, Json


def watch_job(job: Job, json: Json = False) -> None:
    """Watch what is being done to a job until that ends.

    Ctrl-C ends the watching, not the operation. The exit code tells how the operation ended.
    Without a running operation the job is shown as it is.
    """
    api = session.appliance()
    found = api.job(job)
    if found.operation is not None and watching.is_running(found.operation):
        watching.finish(api, found.operation, job, as_json=json, again=f"dtesx job show {job}")
        found = api.job(job)
    if json:
        output.document(found)
    else:
        print_job(found)
