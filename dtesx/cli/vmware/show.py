"""``dtesx vmware show``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.formats import size
from dtesx.cli.params import Json, Vmware


def show_vmware(vmware: Vmware, json: Json = False) -> None:
    """Show a VMware server with its datastores and networks.

    These are the names to write into a job file as replica.datastore and replica.networks.
    """
    found = session.appliance().vmware_details(vmware)
    if json:
        output.document(found)
        return
    about = found.about
    output.pairs(
        [
            ("name", found.name),
            ("address", f"{found.address}:{found.port}"),
            ("user", found.user),
            ("product", f"{about.product} {about.version} build {about.build}" if about else ""),
            ("appliance VM", found.appliance_vm),
            ("certificate", found.thumbprint),
        ]
    )
    output.line("")
    output.table(
        ("DATASTORE", "TYPE", "CAPACITY", "FREE"),
        [(d.name, d.type, size(d.capacity_bytes), size(d.free_bytes)) for d in found.datastores],
        empty="no datastores",
    )
    output.line("")
    output.table(
        ("NETWORK", "KIND"),
        [(n.name, "distributed" if n.distributed else "standard") for n in found.networks],
        empty="no networks",
    )
