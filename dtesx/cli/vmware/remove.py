"""``dtesx vmware remove``."""

from __future__ import annotations

from dtesx.cli import ask, output, session
from dtesx.cli.params import Json, Vmware, Yes


def remove_vmware(vmware: Vmware, yes: Yes = False, json: Json = False) -> None:
    """Forget a VMware server.

    Nothing there is touched; jobs that use it must be deleted before.
    """
    ask.confirm(f"Forget VMware server {vmware}?", yes=yes)
    session.appliance().remove_vmware(vmware)
    if json:
        output.document({"removed": vmware})
    else:
        output.line(f"{vmware} is removed")
