"""Where a replica goes: beside the appliance, unless the plan names other places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict
from dtesx.model.vmware import ReplicaPlan
from dtesx.vsphere import inventory
from dtesx.vsphere.collector import Row, properties, rows_under
from dtesx.vsphere.session import Session


@dataclass(frozen=True)
class Placement:
    """Managed objects for CreateVM_Task. ``networks`` gives the NIC backing of each port group.

    ``host`` is None when the pool belongs to other hosts than the appliance's: vSphere chooses then.
    """

    datacenter: Any
    folder: Any
    pool: Any
    host: Any
    datastore: Any
    networks: Mapping[str, Any]


def place(session: Session, plan: ReplicaPlan, appliance: Any) -> Placement:
    """Resolve the plan's names. Raises NotFound naming what exists.

    The datastore must be one of the appliance's host, because the appliance writes the disks.
    """
    beside = properties(session, appliance, ("parent", "resourcePool", "runtime.host"))
    host = beside.get("runtime.host")
    if host is None:
        raise Conflict(
            "vSphere does not know on which ESXi host the appliance's VM is",
            hint="look at the appliance's VM in the vSphere client: it must run on a connected host",
        )
    datacenter = inventory.datacenter_of(session, host)
    pool = beside.get("resourcePool")
    if plan.resource_pool or pool is None:
        pool = _pool(session, datacenter, plan.resource_pool, host)
    owner = properties(session, pool, ("owner",)).get("owner")
    near = properties(session, host, ("parent",)).get("parent")
    return Placement(
        datacenter=datacenter,
        folder=_folder(session, datacenter, plan.folder, beside.get("parent")),
        pool=pool,
        host=host if _same(owner, near) else None,
        datastore=_datastore(session, host, plan.datastore).managed,
        networks=_networks(session, host if _same(owner, near) else owner, plan),
    )


def folder_paths(found: Sequence[Row], root: Any) -> dict[str, Row]:
    """Each folder by its path below the datacenter's VM folder, such as ``prod/web`` (pure)."""
    by_ref = {row.ref: row for row in found}

    def path(row: Row) -> str:
        parent = row.values.get("parent")
        above = None if parent is None or _same(parent, root) else by_ref.get(str(parent._moId))
        return f"{path(above)}/{row.name}" if above else row.name

    return {path(row): row for row in found}


def backing(network: Row, switch_uuid: str = "", port_group_key: str = "") -> Any:
    """The NIC backing for a port group (pure); the last two for distributed ones only."""
    card = vim.vm.device.VirtualEthernetCard
    if inventory.is_distributed(network.managed):
        port = vim.dvs.PortConnection(switchUuid=switch_uuid, portgroupKey=port_group_key)
        return card.DistributedVirtualPortBackingInfo(port=port)
    return card.NetworkBackingInfo(deviceName=network.name, network=network.managed)


def _pool(session: Session, datacenter: Any, name: str, host: Any) -> Any:
    """A resource pool by name; of several with one name the one that the appliance's host is in."""
    near = properties(session, host, ("parent",)).get("parent")
    found = rows_under(session, datacenter, vim.ResourcePool, ("name", "owner"))
    local = [row for row in found if _same(row.values.get("owner"), near)]
    wanted = name or "Resources"
    pools = local if any(row.name == wanted for row in local) else found
    hint = "correct replica.resource_pool in the job, or leave it out to use the appliance's"
    return inventory.choose("resource pool", wanted, pools, hint=hint).managed


def _folder(session: Session, datacenter: Any, name: str, beside: Any) -> Any:
    root = properties(session, datacenter, ("vmFolder",))["vmFolder"]
    if not name:
        # A VM inside a vApp has no folder of its own.
        return beside if isinstance(beside, vim.Folder) else root
    found = rows_under(session, root, vim.Folder, ("name", "parent"))
    paths = folder_paths(found, root)
    wanted = name.strip("/")
    if wanted in paths:
        return paths[wanted].managed
    hint = "correct replica.folder in the job (a name, or a path such as prod/web), or leave it out"
    return inventory.choose("VM folder", wanted, found, hint=hint).managed


def _datastore(session: Session, host: Any, name: str) -> Row:
    hint = "correct replica.datastore in the job; it must be mounted on the appliance's ESXi host"
    return inventory.choose("datastore", name, inventory.datastores_of(session, host), hint=hint)


def _networks(session: Session, host: Any, plan: ReplicaPlan) -> dict[str, Any]:
    present = inventory.networks_of(session, host)
    hint = "correct replica.networks in the job; the port group must exist on the replica's ESXi host"
    wanted = sorted({nic.network for nic in plan.nics})
    chosen = {name: inventory.choose("network", name, present, hint=hint) for name in wanted}
    return {name: _backing(session, row) for name, row in chosen.items()}


def _backing(session: Session, row: Row) -> Any:
    if not inventory.is_distributed(row.managed):
        return backing(row)
    group = properties(session, row.managed, ("key", "config.distributedVirtualSwitch"))
    switch = properties(session, group["config.distributedVirtualSwitch"], ("uuid",))
    return backing(row, str(switch["uuid"]), str(group["key"]))


def _same(one: Any, other: Any) -> bool:
    return one is not None and other is not None and str(one._moId) == str(other._moId)
