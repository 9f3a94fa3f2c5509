"""``dtesx vmware``: where replicas are kept."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.vmware.add import add_vmware
from dtesx.cli.vmware.list import list_vmware
from dtesx.cli.vmware.remove import remove_vmware
from dtesx.cli.vmware.role import app as role
from dtesx.cli.vmware.show import show_vmware

app = teach.group("vCenter servers and ESXi hosts that keep the replicas.")
teach.add(
    app,
    "add",
    add_vmware,
    "dtesx vmware add vc1 vcenter.example.org --user dtesx@vsphere.local",
    "DTESX_VMWARE_PASSWORD=... dtesx vmware add vc1 10.1.0.5 --user root --trust-thumbprint AA:BB:...",
)
teach.add(app, "list", list_vmware, "dtesx vmware list")
teach.add(app, "show", show_vmware, "dtesx vmware show vc1")
teach.add(app, "remove", remove_vmware, "dtesx vmware remove vc1 --yes")
app.add_typer(role, name="role")
