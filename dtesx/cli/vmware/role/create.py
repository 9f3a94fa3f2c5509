"""``dtesx vmware role create``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli import ask, output, session
from dtesx.cli.params import Json, Vmware
from dtesx.cli.vmware.add import PasswordFile
from dtesx.model.api import NewRole

Role = Annotated[str, typer.Option("--role", help="Name of the role.")]
User = Annotated[str, typer.Option("--user", "-u", help="Account that makes it, instead of the appliance's.")]


def create_role(
    vmware: Vmware,
    role: Role = "dtesx",
    user: User = "",
    password_file: PasswordFile = None,
    json: Json = False,
) -> None:
    """Make a role with the privileges that dtesx needs, and no others.

    A role of that name that is there already gets exactly these. Making roles needs the privilege
    Authorization.ModifyRoles, which the appliance's own account should not have: name an account
    that has it with --user; its password is used once and not kept. Give the role to the appliance's
    account in the vSphere client, with propagation.
    """
    password = ask.secret("password", file=password_file, variable="DTESX_VMWARE_PASSWORD") if user else ""
    session.appliance().put_role(vmware, NewRole(role, user, password))
    if json:
        output.document({"role": role})
    else:
        output.line(f"{vmware} has the role {role}; give it to the appliance's account, with propagation")
