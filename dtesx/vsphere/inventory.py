"""What a vCenter holds: datastores, networks, VMs; and choosing among them by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict, NotFound
from dtesx.model.vmware import Datastore, Network
from dtesx.vsphere.collector import Row, properties, rows, rows_under
from dtesx.vsphere.session import Session

_SHOWN = 8
_UPLINKS = "SYSTEM/DVS.UPLINKPG"
_DATASTORE_PATHS = ("name", "summary.accessible", "summary.type", "summary.capacity", "summary.freeSpace")


def datastores(session: Session) -> tuple[Datastore, ...]:
    """Every datastore that some host can reach, by name."""
    found = rows_under(session, session.content.rootFolder, vim.Datastore, _DATASTORE_PATHS)
    usable = [datastore(row) for row in found if row.values.get("summary.accessible", False)]
    return tuple(sorted(usable, key=lambda item: item.name))


def datastore(row: Row) -> Datastore:
    """A datastore's row (read with its summary) as a value; sizes unknown to vSphere are 0."""
    return Datastore(
        ref=row.ref,
        name=row.name,
        type=str(row.values.get("summary.type", "")),
        capacity_bytes=int(row.values.get("summary.capacity", 0)),
        free_bytes=int(row.values.get("summary.freeSpace", 0)),
    )


def datastores_of(session: Session, host: Any) -> tuple[Row, ...]:
    """The datastores that one ESXi host can reach."""
    mounted = properties(session, host, ("datastore",)).get("datastore", ())
    found = rows(session, list(mounted), vim.Datastore, _DATASTORE_PATHS)
    return tuple(row for row in found if row.values.get("summary.accessible", False))


def datastores_beside(session: Session, machine: Any) -> tuple[Row, ...]:
    """The datastores of the ESXi host that a VM is on; none where vSphere does not know it."""
    host = properties(session, machine, ("runtime.host",)).get("runtime.host")
    return datastores_of(session, host) if host is not None else ()


def networks(session: Session) -> tuple[Network, ...]:
    """Every port group a VM can be connected to, by name; uplinks are none."""
    found = rows_under(session, session.content.rootFolder, vim.Network, ("name", "tag"))
    usable = [network(row) for row in found if not _uplink(row)]
    return tuple(sorted(usable, key=lambda item: item.name))


def network(row: Row) -> Network:
    """A port group's row as a value."""
    return Network(row.ref, row.name, is_distributed(row.managed))


def networks_of(session: Session, host: Any) -> tuple[Row, ...]:
    """The port groups of one ESXi host, or of a cluster's hosts."""
    present = properties(session, host, ("network",)).get("network", ())
    found = rows(session, list(present), vim.Network, ("name", "tag"))
    return tuple(row for row in found if not _uplink(row))


def is_distributed(network: Any) -> bool:
    """Tell a port group of a distributed switch from a standard one."""
    return isinstance(network, vim.dvs.DistributedVirtualPortgroup)


def datacenter_of(session: Session, managed: Any) -> Any:
    """The datacenter an object lives in, by climbing its parents. Raises NotFound above all of them."""
    while not isinstance(managed, vim.Datacenter):
        parent = properties(session, managed, ("parent",)).get("parent")
        if parent is None:
            raise NotFound(
                "vSphere does not tell the datacenter of the appliance's VM",
                hint="the account needs System.View on the objects above the VM, up to the datacenter",
            )
        managed = parent
    return managed


def choose(
    what: str,
    wanted: str,
    candidates: Sequence[Row],
    *,
    hint: str,
    called: Callable[[Row], str] | None = None,
) -> Row:
    """The one candidate with that name.

    Raises NotFound naming what exists, Conflict when several bear the name.
    """
    title = called or (lambda row: row.name)
    found = [row for row in candidates if title(row) == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise Conflict(
            f"{len(found)} objects are called {wanted}; which {what} is meant is not clear",
            hint="rename all but one of them in vSphere",
        )
    raise NotFound(f"there is no {what} called {wanted}; {existing(candidates, wanted, title)}", hint=hint)


def existing(candidates: Sequence[Row], wanted: str, title: Callable[[Row], str]) -> str:
    """A clause that tells which names exist, those like the wanted one first."""
    names = sorted({title(row) for row in candidates})
    if not names:
        return "there is none that this account can see"
    close = get_close_matches(wanted, names, n=_SHOWN, cutoff=0.6)
    ordered = close + [name for name in names if name not in close]
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"there are: {', '.join(ordered[:_SHOWN])}{more}"


def _uplink(row: Row) -> bool:
    return any(tag.key == _UPLINKS for tag in row.values.get("tag", ()))
