"""``dtesx service source``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base import log
from dtesx.cli import hooks_file
from dtesx.cli.params import ListenAddress, ListenPort, State
from dtesx.model.api import API_PORT

HooksFile = Annotated[
    Path | None,
    typer.Option(
        "--hooks",
        metavar="FILE",
        help="The commands that a job may have prepare applications here: replication.hooks.",
    ),
]


def run_source(
    address: ListenAddress = "0.0.0.0",
    port: ListenPort = API_PORT,
    state: State = Path("/var/lib/dtesx/source"),
    hooks: HooksFile = None,
) -> None:
    """Run the source service, on a server to protect.

    It answers the appliance and sends this server's files.

    The one-time token for dtesx server add is in the file token of the state directory.
    """
    from dtesx.services import source

    known = hooks_file.load(hooks) if hooks is not None else {}
    log.configure()
    source.run(address, port, state, known)
