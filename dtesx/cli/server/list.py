"""``dtesx server list``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.params import Json


def list_servers(json: Json = False) -> None:
    """List the source servers that are paired with the appliance."""
    servers = session.appliance().servers()
    if json:
        output.document(list(servers))
        return
    output.table(
        ("NAME", "HOSTNAME", "ADDRESS", "CERTIFICATE"),
        [(s.name, s.hostname, f"{s.address}:{s.port}", s.fingerprint[:23] + "...") for s in servers],
        empty="no servers yet: dtesx server add",
    )
