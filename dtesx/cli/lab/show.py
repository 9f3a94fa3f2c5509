"""How a lab is shown to people."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dtesx.cli import output

if TYPE_CHECKING:
    from dtesx.lab.status import SiteStatus


def print_lab(status: SiteStatus) -> None:
    """Print the machines of a lab and the commands to go on with."""
    output.table(
        ("MACHINE", "STATE", "ADDRESS", "LOG"),
        [(m.name, "up" if m.alive else "down", m.address, m.log) for m in status.machines],
        empty="no machines",
    )
    output.line("")
    output.line("The road:", style="bold")
    for command in commands(status):
        output.line(f"  {command}")


def commands(status: SiteStatus) -> tuple[str, ...]:
    """The commands that protect the lab's server, ready to be pasted."""
    vcenter = status.vcenter
    token = shlex.quote(status.source_token_file)
    return (
        f"dtesx login {status.appliance_url} --token-file {shlex.quote(status.admin_token_file)}",
        f"dtesx server add alpha {status.source_address} --token-file {token}",
        f"DTESX_VMWARE_PASSWORD={shlex.quote(vcenter.password)}"
        f" dtesx vmware add vc1 {vcenter.address} --port {vcenter.port} --user {vcenter.user}"
        f" --appliance-vm {status.appliance_vm}",
        "dtesx vmware show vc1",
        "dtesx job create -f job.yaml",
        f"{shlex.join(status.ssh)}   # the server, later its replica",
        "dtesx lab down",
    )
