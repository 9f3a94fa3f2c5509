"""``dtesx server remove``."""

from __future__ import annotations

from dtesx.cli import ask, output, session
from dtesx.cli.params import Json, Server, Yes


def remove_server(server: Server, yes: Yes = False, json: Json = False) -> None:
    """Forget a source server.

    The server itself is not touched; its jobs must be deleted before.
    """
    ask.confirm(f"Forget server {server}?", yes=yes)
    session.appliance().remove_server(server)
    if json:
        output.document({"removed": server})
    else:
        output.line(f"{server} is removed")
