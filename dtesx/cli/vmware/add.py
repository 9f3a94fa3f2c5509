"""``dtesx vmware add``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UntrustedCertificate
from dtesx.cli import ask, output, session
from dtesx.cli.params import Json, NewName, Thumbprint
from dtesx.model.api import NewVmware

Address = Annotated[str, typer.Argument(help="Address of the vCenter or ESXi host.")]
User = Annotated[str, typer.Option("--user", "-u", help="Account at vSphere.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="HTTPS port.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="File that holds the password.")]
ApplianceVm = Annotated[
    str, typer.Option("--appliance-vm", help="Name of the appliance's own VM, if it is not found by itself.")
]


def add_vmware(
    name: NewName,
    address: Address,
    user: User,
    password_file: PasswordFile = None,
    port: Port = 443,
    trust_thumbprint: Thumbprint = "",
    appliance_vm: ApplianceVm = "",
    json: Json = False,
) -> None:
    """Add a vCenter or ESXi host and pin its certificate.

    The password comes from --password-file, from the variable DTESX_VMWARE_PASSWORD or from a
    prompt; never from the command line, where others could see it. The thumbprint of the
    certificate is asked for on a terminal; elsewhere give it with --trust-thumbprint.
    """
    password = ask.secret("password", file=password_file, variable="DTESX_VMWARE_PASSWORD")
    wanted = NewVmware(
        name=name,
        address=address,
        user=user,
        password=password,
        port=port,
        thumbprint=ask.as_vsphere(trust_thumbprint),
        appliance_vm=appliance_vm,
    )
    api = session.appliance()
    try:
        added = api.add_vmware(wanted)
    except UntrustedCertificate as error:
        if trust_thumbprint or not error.thumbprint:
            raise
        added = api.add_vmware(replace(wanted, thumbprint=ask.trust(address, error.thumbprint)))
    if json:
        output.document(added)
        return
    product = f": {added.about.product} {added.about.version}" if added.about else ""
    output.line(f"{added.name} is added{product} at {added.address}:{added.port}")
