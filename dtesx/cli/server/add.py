"""``dtesx server add``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import ask, output, session
from dtesx.cli.params import Json, NewName, TokenFile
from dtesx.model.api import API_PORT, NewServer

Address = Annotated[str, typer.Argument(help="Address of the source, as the appliance reaches it.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the source service.")]


def add_server(
    name: NewName, address: Address, token_file: TokenFile = None, port: Port = API_PORT, json: Json = False
) -> None:
    """Pair a source server with the appliance by its one-time token.

    The token is in /var/lib/dtesx/source/token on the source. Without --token-file it is asked
    for. Afterwards source and appliance know each other's certificate and talk to nobody else.
    """
    token = ask.secret("token", file=token_file)
    server = session.appliance().add_server(NewServer(name=name, address=address, token=token, port=port))
    if json:
        output.document(server)
        return
    output.line(f"{server.name} is paired: {server.hostname} at {server.address}:{server.port}")
    output.line(f"certificate {server.fingerprint}")
