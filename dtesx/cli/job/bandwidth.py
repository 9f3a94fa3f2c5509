"""``dtesx job bandwidth``."""

from __future__ import annotations

from dtesx.cli import limits, output, session
from dtesx.cli.formats import rate
from dtesx.cli.limits import Limit
from dtesx.cli.params import Job, Json


def limit_job(job: Job, limit: Limit, json: Json = False) -> None:
    """Limit the bandwidth of a job's mirrors and its replication.

    The limit holds for what is under way and for what comes later, in place of those in the job file.
    off: no limit; default: those of the job file hold again.
    """
    bandwidth = limits.bandwidth(limit)
    api = session.appliance()
    api.limit(job, bandwidth)
    if json:
        output.document(api.job(job))
    else:
        now = "as its job file says" if bandwidth is None else rate(bandwidth)
        output.line(f"the bandwidth of {job} is now: {now}")
