"""``dtesx server inventory``."""

from __future__ import annotations

from dtesx.cli import output, session
from dtesx.cli.formats import size
from dtesx.cli.params import Json, Server
from dtesx.model.inventory import Inventory


def show_inventory(server: Server, json: Json = False) -> None:
    """Show what a server is made of: disks, file systems, NICs.

    The server is asked now.
    """
    found = session.appliance().inventory(server)
    if json:
        output.document(found)
        return
    _overview(found.inventory)
    output.line("")
    output.table(
        ("MOUNT POINT", "TYPE", "SIZE", "USED", "DISK", "UUID"),
        [
            (f.mount_point, f.type, size(f.size_bytes), size(f.used_bytes), f.disk, f.uuid)
            for f in found.inventory.file_systems
        ],
        empty="no file systems on disks",
    )
    output.line("")
    output.table(
        ("NIC", "MAC", "ADDRESSES", "GATEWAYS"),
        [(n.name, n.mac, " ".join(n.addresses), " ".join(n.gateways)) for n in found.inventory.nics],
        empty="no network interfaces",
    )


def _overview(inventory: Inventory) -> None:
    output.pairs(
        [
            ("host name", inventory.hostname),
            ("system", inventory.os.pretty),
            ("kernel", f"{inventory.kernel} ({inventory.architecture})"),
            ("firmware", inventory.firmware),
            ("CPUs", str(inventory.cpus)),
            ("memory", size(inventory.memory_bytes)),
            ("disks", ", ".join(f"{d.name} {size(d.size_bytes)}" for d in inventory.disks)),
            ("swap", ", ".join(f"{s.device} {size(s.size_bytes)}" for s in inventory.swaps)),
        ]
    )
