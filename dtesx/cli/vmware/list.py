"""``dtesx vmware list``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.params import Json


def list_vmware(json: Json = False) -> None:
    """List the VMware servers that the appliance knows."""
    servers = session.appliance().vmware()
    if json:
        output.document(list(servers))
        return
    output.table(
        ("NAME", "ADDRESS", "USER", "APPLIANCE VM", "CERTIFICATE"),
        [
            (v.name, f"{v.address}:{v.port}", v.user, v.appliance_vm or "-", v.thumbprint[:23] + "...")
            for v in servers
        ],
        empty="no VMware servers yet: dtesx vmware add",
    )
