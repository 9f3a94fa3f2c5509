"""``dtesx vmware role``: what the appliance's account may do."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.vmware.role.create import create_role

app = teach.group("The role that the appliance's account needs at a VMware server.")
teach.add(
    app,
    "create",
    create_role,
    "dtesx vmware role create vc1 --user administrator@vsphere.local",
    "dtesx vmware role create vc1 --role replication",
)
