"""Where a replica goes: beside the appliance, unless the plan names other places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict
from dtesx.model.vmware import Offer, ReplicaPlan, Whereabouts
from dtesx.vsphere import inventory, machines, stored
from dtesx.vsphere.collector import Row, properties, rows_under
from dtesx.vsphere.privileges import Subject
from dtesx.vsphere.session import Session

_UUIDS = "disk.enableuuid"
_DATASTORE_HINT = (
    "correct replica.datastore or replica.storage in the job; datastores must be mounted on the appliance's "
    "ESXi host"
)


@dataclass(frozen=True)
class Spot:
    """Where a VM can be made. ``networks_of`` is the host, or the cluster's or pool's compute resource.

    ``host`` is None when the pool belongs to other hosts than the appliance's: vSphere chooses then.
    """

    datacenter: Any
    folder: Any
    pool: Any
    host: Any
    networks_of: Any
    near: Any


@dataclass(frozen=True)
class Placement:
    """Managed objects for CreateVM_Task. ``networks`` gives the NIC backing of each port group.

    ``stores`` are the datastores of the appliance's host.
    """

    spot: Spot
    networks: Mapping[str, Any]
    stores: tuple[Row, ...]


def find_spot(session: Session, where: Whereabouts, appliance: Any) -> Spot:
    """Resolve the names of a place. Raises NotFound naming what exists."""
    beside = properties(session, appliance, ("parent", "resourcePool", "runtime.host"))
    near = beside.get("runtime.host")
    if near is None:
        raise Conflict(
            "vSphere does not know on which ESXi host the appliance's VM is",
            hint="look at the appliance's VM in the vSphere client: it must run on a connected host",
        )
    datacenter = inventory.datacenter_of(session, near)
    folder = _folder(session, datacenter, where.folder, beside.get("parent"))
    if where.host:
        host = _host(session, datacenter, where.host)
        return Spot(datacenter, folder, _pool_of(session, _owner(session, host)), host, host, near)
    if where.cluster:
        cluster = _cluster(session, datacenter, where.cluster)
        return Spot(datacenter, folder, _pool_of(session, cluster), None, cluster, near)
    pool = beside.get("resourcePool")
    if where.resource_pool or pool is None:
        pool = _pool(session, datacenter, where.resource_pool, near)
    owner = properties(session, pool, ("owner",)).get("owner")
    host = near if _same(owner, _owner(session, near)) else None
    return Spot(datacenter, folder, pool, host, host or owner, near)


def place(session: Session, plan: ReplicaPlan, appliance: Any) -> Placement:
    """Resolve the plan's names. Raises NotFound naming what exists.

    The datastores must be some of the appliance's host, because the appliance writes the disks.
    """
    spot = find_spot(session, plan.where, appliance)
    present = inventory.datastores_of(session, spot.near)
    for name in dict.fromkeys((plan.datastore, *(disk.datastore for disk in plan.disks))):
        inventory.choose("datastore", name, present, hint=_DATASTORE_HINT)
    return Placement(spot, _networks(session, spot.networks_of, plan), present)


def subjects(
    session: Session, plan: ReplicaPlan, appliance: Any, made: Any = None
) -> Mapping[Subject, Sequence[Any]]:
    """On what an account needs privileges; names that do not exist are left out."""
    spot = find_spot(session, plan.where, appliance)
    stores = {plan.datastore, *(disk.datastore for disk in plan.disks)}
    networks = {nic.network for nic in plan.nics}
    reachable = inventory.datastores_of(session, spot.near)
    moved = {disk.datastore for disk in plan.disks if disk.existing}
    return {
        Subject.FOLDER: (spot.folder,),
        Subject.REPLICA: (made or spot.folder,),
        Subject.ADOPTER: (made or spot.folder,) if moved else (),
        Subject.MOVED: _named(reachable, moved),
        Subject.APPLIANCE: (appliance,),
        Subject.POOL: (spot.pool,),
        Subject.DATASTORE: _named(reachable, stores),
        Subject.NETWORK: _named(inventory.networks_of(session, spot.networks_of), networks),
    }


def offer(session: Session, where: Whereabouts, appliance: Any, existing: Iterable[str] = ()) -> Offer:
    """What there is for a replica at a place, and of the existing disks that it is to use."""
    spot = find_spot(session, where, appliance)
    machine = machines.machine(session, appliance)
    present = inventory.datastores_of(session, spot.near)
    stores = (inventory.datastore(row) for row in present)
    groups = (inventory.network(row) for row in inventory.networks_of(session, spot.networks_of))
    return Offer(
        datastores=tuple(sorted(stores, key=lambda item: item.name)),
        networks=tuple(sorted(groups, key=lambda item: item.name)),
        appliance_disks=len(machine.disks),
        hardware=machine.hardware,
        disk_uuids=_shows_uuids(session, appliance),
        stored=stored.stored(session, existing, present, spot.datacenter),
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


def _shows_uuids(session: Session, machine: Any) -> bool:
    """Whether the guest of a VM sees the UUIDs of its disks."""
    options = properties(session, machine, ("config.extraConfig",)).get("config.extraConfig", ())
    return any(o.key.lower() == _UUIDS and str(o.value).upper() in ("TRUE", "1") for o in options)


def _named(found: Sequence[Row], names: set[str]) -> tuple[Any, ...]:
    return tuple(row.managed for row in found if row.name in names)


def _pool(session: Session, datacenter: Any, name: str, host: Any) -> Any:
    """A resource pool by name; of several with one name the one that the appliance's host is in."""
    near = _owner(session, host)
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


def _host(session: Session, datacenter: Any, name: str) -> Any:
    found = rows_under(session, datacenter, vim.HostSystem, ("name",))
    hint = "correct replica.host in the job, or leave it out to use the appliance's"
    return inventory.choose("ESXi host", name, found, hint=hint).managed


def _cluster(session: Session, datacenter: Any, name: str) -> Any:
    found = rows_under(session, datacenter, vim.ClusterComputeResource, ("name",))
    hint = "correct replica.cluster in the job, or leave it out to use the appliance's host"
    return inventory.choose("cluster", name, found, hint=hint).managed


def _owner(session: Session, host: Any) -> Any:
    """The cluster or compute resource that a host is in."""
    return properties(session, host, ("parent",)).get("parent")


def _pool_of(session: Session, resource: Any) -> Any:
    """The root resource pool of a cluster or compute resource."""
    return properties(session, resource, ("resourcePool",))["resourcePool"]


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
