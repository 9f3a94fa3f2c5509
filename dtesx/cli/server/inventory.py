"""``dtesx server inventory``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import output, session
from dtesx.cli.params import Json, complete_server
from dtesx.cli.server.inventory_view import show

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="Name of the server.", autocompletion=complete_server)
]
Local = Annotated[bool, typer.Option("--local", help="Look at this machine, without an appliance.")]


def show_inventory(server: Name = "", local: Local = False, json: Json = False) -> None:
    """Show what a server is made of: system, disks, network.

    The server is asked now. What lies on its disks is shown as a tree; what cannot be protected is
    listed with its reason.
    """
    if bool(server) == local:
        raise UsageError("name one server, or look at this one", hint="give its name, or --local")
    if local:
        from dtesx.inventory.collect import collect

        inventory = collect()
        document: object = inventory
    else:
        found = session.appliance().inventory(server)
        inventory, document = found.inventory, found
    if json:
        output.document(document)
    else:
        show(inventory)
