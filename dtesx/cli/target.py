"""``dtesx target``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base import log
from dtesx.base.errors import UsageError
from dtesx.cli import tasks_file, teach
from dtesx.cli.params import TasksFile

Listen = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Directory that holds the replicas.")]
State = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="Directory for identity, token and known sources.")
]
Tls = Annotated[
    bool,
    typer.Option(
        "--tls/--no-tls",
        help="Let sources in without TLS, too: loopback and trusted links only,"
        " as others on the link can then read and change what travels.",
    ),
]
RetryDelay = Annotated[
    str,
    typer.Option("--retry-delay", metavar="TIME", help="When to try again what failed for a passing reason."),
]
MemoryHigh = Annotated[
    int,
    typer.Option(
        "--memory-high",
        metavar="PERCENT",
        help="How much of the memory data may take that wait to be applied; then their sources wait.",
    ),
]
MemoryLow = Annotated[
    int, typer.Option("--memory-low", metavar="PERCENT", help="The sources go on when it is less than that.")
]
QueueLimit = Annotated[
    str,
    typer.Option(
        "--queue-limit",
        metavar="SIZE",
        help="How much a paused replica keeps of what arrives; then its source waits. 0: no limit.",
    ),
]
QueueFree = Annotated[
    str,
    typer.Option("--queue-free", metavar="SIZE", help="How much space the queue leaves where --state is."),
]


def run_target(
    data: Data,
    listen: Listen = "0.0.0.0:1500",
    state: State = Path("/var/lib/dtesx/target"),
    tls: Tls = True,
    retry_delay: RetryDelay = "3s",
    memory_high: MemoryHigh = 20,
    memory_low: MemoryLow = 10,
    queue_limit: QueueLimit = "0",
    queue_free: QueueFree = "50MiB",
    tasks: TasksFile = None,
) -> None:
    """Hold replicas for dtesx mirror, until SIGTERM.

    Each NAME of dtesx://HOST:PORT/NAME is a directory below --data; several are served side by side.

    One line says when it listens, and which file holds the token. A source needs the token once;
    then the two know each other's certificate.
    """
    from dtesx.model.location import parse_listen
    from dtesx.model.quantities import parse_duration, parse_size
    from dtesx.model.target import TargetOptions
    from dtesx.services import target

    try:
        address, port = parse_listen(listen)
    except ValueError as error:
        raise UsageError(f"--listen: {error}", hint="write --listen 0.0.0.0:1500") from error
    try:
        options = TargetOptions(
            parse_duration(retry_delay),
            memory_high,
            memory_low,
            parse_size(queue_limit),
            parse_size(queue_free),
        )
    except ValueError as error:
        raise UsageError(str(error), hint="dtesx target --help shows the defaults") from error
    known = tasks_file.load(tasks) if tasks is not None else {}
    log.configure()
    target.run(address, port, data, state, tls=tls, options=options, tasks=known)


app = teach.command(
    "target",
    run_target,
    "dtesx target --data /srv/replicas",
    "dtesx target --listen 10.1.0.2:1500 --data /srv/replicas --state /var/lib/dtesx/target",
)
