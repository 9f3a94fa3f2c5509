"""``dtesx job bandwidth``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import output, session
from dtesx.cli.formats import rate
from dtesx.cli.params import Job, Json
from dtesx.model.quantities import parse_rate
from dtesx.model.transmission import check_bandwidth

Limit = Annotated[str, typer.Argument(metavar="RATE|off|default", help="Such as 10MB/s or 80Mbit/s.")]

_NONE = {"off": 0, "default": None}


def limit_job(job: Job, limit: Limit, json: Json = False) -> None:
    """Limit the bandwidth of a job's mirrors.

    The limit holds for the mirror under way and for later ones, in place of those in the job file.
    off: no limit; default: those of the job file hold again.
    """
    bandwidth = _NONE[limit] if limit in _NONE else _rate(limit)
    api = session.appliance()
    api.limit(job, bandwidth)
    if json:
        output.document(api.job(job))
    else:
        now = "as its job file says" if bandwidth is None else rate(bandwidth)
        output.line(f"the bandwidth of {job} is now: {now}")


def _rate(text: str) -> int:
    try:
        bandwidth = parse_rate(text)
        check_bandwidth(bandwidth)
    except ValueError as error:
        raise UsageError(f"RATE: {error}", hint="write 10MB/s, 80Mbit/s, off or default") from error
    return bandwidth
