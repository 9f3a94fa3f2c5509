"""``dtesx target``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base import log
from dtesx.base.errors import UsageError
from dtesx.cli import teach

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


def run_target(
    data: Data,
    listen: Listen = "0.0.0.0:1500",
    state: State = Path("/var/lib/dtesx/target"),
    tls: Tls = True,
) -> None:
    """Hold replicas for dtesx mirror, until SIGTERM.

    Each NAME of dtesx://HOST:PORT/NAME is a directory below --data; several are served side by side.

    One line says when it listens, and which file holds the token. A source needs the token once;
    then the two know each other's certificate.
    """
    from dtesx.model.location import parse_listen
    from dtesx.services import target

    try:
        address, port = parse_listen(listen)
    except ValueError as error:
        raise UsageError(f"--listen: {error}", hint="write --listen 0.0.0.0:1500") from error
    log.configure()
    target.run(address, port, data, state, tls=tls)


app = teach.command(
    "target",
    run_target,
    "dtesx target --data /srv/replicas",
    "dtesx target --listen 10.1.0.2:1500 --data /srv/replicas --state /var/lib/dtesx/target",
)
