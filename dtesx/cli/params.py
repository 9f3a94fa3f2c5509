"""Options and arguments that several commands share, and the completion of names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dtesx.cli.api import Api

# Somebody who pressed Tab waits; after that many seconds nothing is completed.
_PATIENCE = 2.0


def _names(fetch: Callable[[Api], Iterable[str]], incomplete: str) -> list[str]:
    from dtesx.cli import session

    found: list[str] = []

    def look() -> None:
        # A completion has nowhere to show an error: what fails completes nothing.
        with suppress(Exception):
            found.extend(fetch(session.appliance()))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return sorted(name for name in list(found) if name.startswith(incomplete))


def complete_job(incomplete: str) -> list[str]:
    """Names of jobs on the appliance."""
    return _names(lambda api: (job.spec.name for job in api.jobs()), incomplete)


def complete_server(incomplete: str) -> list[str]:
    """Names of servers known to the appliance."""
    return _names(lambda api: (server.name for server in api.servers()), incomplete)


def complete_vmware(incomplete: str) -> list[str]:
    """Names of VMware servers known to the appliance."""
    return _names(lambda api: (server.name for server in api.vmware()), incomplete)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once; the appliance goes on.")]
Job = Annotated[str, typer.Argument(help="Name of the job.", autocompletion=complete_job)]
Server = Annotated[str, typer.Argument(help="Name of the server.", autocompletion=complete_server)]
Vmware = Annotated[str, typer.Argument(help="Name of the VMware server.", autocompletion=complete_vmware)]
NewName = Annotated[str, typer.Argument(help="A name of your choice; jobs refer to it.")]
Thumbprint = Annotated[
    str,
    typer.Option("--trust-thumbprint", help="SHA-256 thumbprint of the certificate to trust."),
]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="File that holds the token.")]
ListenAddress = Annotated[str, typer.Option("--address", help="Address to listen on.")]
ListenPort = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")]
TasksFile = Annotated[
    Path | None,
    typer.Option(
        "--tasks",
        metavar="FILE",
        help="The commands that any known source may have run here: dtesx task insert.",
    ),
]
State = Annotated[Path, typer.Option("--state", help="Directory for the service's state.")]

Rebind = Annotated[
    bool,
    typer.Option(
        "--rebind", help="The source's file systems may be others than at the last mirror, or empty."
    ),
]
