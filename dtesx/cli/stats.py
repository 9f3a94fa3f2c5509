"""``dtesx stats``."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, fields
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import output, teach
from dtesx.cli.formats import moment, seconds, size
from dtesx.cli.params import Json
from dtesx.cli.replication_options import Job, State, To, directory, only_job
from dtesx.model.quantities import parse_duration
from dtesx.model.replication import ReplicationSample

Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, the counts as they are.")]
Since = Annotated[
    str, typer.Option("--since", metavar="AGE", help="How far back, such as 15m, 12h; 24 hours are kept.")
]

_COLUMNS = ("time", "state", "epoch", "behind", "events/s", "sent/s", "on the wire/s", "queue", "disk queue")


def stats(
    to: To = "",
    as_csv: Csv = False,
    since: Since = "1h",
    state: State = None,
    job: Job = "",
    json: Json = False,
) -> None:
    """Show the history of a replication.

    It is one on this machine, or with --job that of a job, which its source keeps. There is a line for
    every ten seconds that it ran. The table has rates; the counts behind them, which begin anew with
    every start, are in the CSV and the JSON.
    """
    try:
        begin = time.time() - parse_duration(since)
    except ValueError as error:
        raise UsageError(f"--since: {error}", hint="write --since 15m or 12h") from error
    samples = _job_samples(job, begin) if only_job(job, state, to) else _samples(directory(state, to), begin)
    if json:
        output.document(samples)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([field.name for field in fields(ReplicationSample)])
        writer.writerows(astuple(sample) for sample in samples)
    else:
        output.table(_COLUMNS, rows(samples), empty="nothing is known of that time")


def _samples(place: Path, begin: float) -> Sequence[ReplicationSample]:
    from dtesx.management import replications

    return replications.samples(place, begin)


def _job_samples(job: str, begin: float) -> Sequence[ReplicationSample]:
    from dtesx.cli import session

    return session.appliance().history(job, begin)


def rows(samples: Sequence[ReplicationSample]) -> Iterator[tuple[str, ...]]:
    """The lines of the table; a rate is that of the time since the sample before."""
    for before, now in pairwise((None, *samples)):
        assert now is not None
        yield (
            moment(now.at),
            now.state,
            str(now.epoch or "-"),
            seconds(now.latency) if now.latency >= 0 else "-",
            _rate(before, now, "events", "{:.1f}".format),
            _rate(before, now, "sent_bytes", lambda rate: size(round(rate))),
            _rate(before, now, "sent_compressed_bytes", lambda rate: size(round(rate))),
            size(now.queue_bytes),
            size(now.disk_queue_bytes),
        )


def _rate(
    before: ReplicationSample | None, now: ReplicationSample, count: str, shown: Callable[[float], str]
) -> str:
    if before is None or now.at <= before.at:
        return "-"
    gained = getattr(now, count) - getattr(before, count)
    return shown(gained / (now.at - before.at)) if gained >= 0 else "-"


app = teach.command(
    "stats",
    stats,
    "dtesx stats",
    "dtesx stats --to www --since 12h",
    "dtesx stats --job alpha --csv > stats.csv",
)
