"""The replica as a virtual machine: processors, memory, network cards, place."""

from __future__ import annotations

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Inventory, OperatingSystem
from dtesx.model.job import JobSpec
from dtesx.model.layout import MIB, Layout
from dtesx.model.replica import MAX_CPUS, MAX_MEMORY_MIB, ReplicaSpec
from dtesx.model.vmware import NicPlan, ReplicaPlan, Whereabouts

# VirtualMachineGuestOsIdentifier of the vSphere API, by os-release(5) ID; the "or later"
# identifiers exist in every API version since 6.5.
_GUESTS = {
    "debian": "debian10_64Guest",
    "ubuntu": "ubuntu64Guest",
    "rhel": "rhel7_64Guest",
    "centos": "centos7_64Guest",
    "rocky": "centos7_64Guest",
    "almalinux": "centos7_64Guest",
    "ol": "oracleLinux7_64Guest",
    "sles": "sles12_64Guest",
}
_OTHER_GUEST = "other3xLinux64Guest"
_LEAST_MEMORY_MIB = 1024
_MEMORY_STEP_MIB = 4  # VirtualMachineConfigSpec.memoryMB must be a multiple of 4


def replica_plan(spec: JobSpec, inventory: Inventory, layout: Layout, owner: str) -> ReplicaPlan:
    """The virtual machine that a job asks for; ``owner`` marks it as the job's.

    Raises UsageError when the job names network cards that the source does not have.
    """
    sockets, cores = _processors(spec.replica, inventory)
    check_cards(spec.replica, inventory)
    networks = (spec.replica.network_for(nic.name) for nic in inventory.nics)
    return ReplicaPlan(
        name=spec.replica_name,
        owner=owner,
        datastore=spec.replica.datastore,
        guest_id=guest_id(inventory.os),
        firmware=layout.firmware,
        sockets=sockets,
        cores_per_socket=cores,
        memory_mib=_memory_mib(spec.replica, inventory),
        disks=layout.disks,
        nics=tuple(NicPlan(network) for network in networks if network),
        where=whereabouts(spec.replica),
    )


def whereabouts(replica: ReplicaSpec) -> Whereabouts:
    """Where the job wants its replica."""
    return Whereabouts(replica.host, replica.cluster, replica.resource_pool, replica.folder)


def guest_id(os: OperatingSystem) -> str:
    """The vSphere guest identifier for an operating system, or for one that it derives from."""
    return next((_GUESTS[name] for name in (os.id, *os.like) if name in _GUESTS), _OTHER_GUEST)


def check_cards(replica: ReplicaSpec, inventory: Inventory) -> None:
    """Raise UsageError when the job names network cards that the source does not have."""
    known = {nic.name for nic in inventory.nics}
    for field, named in (("networks", set(replica.networks) - {"*"}), ("addresses", set(replica.addresses))):
        if named - known:
            raise UsageError(
                f"replica.{field} names {', '.join(sorted(named - known))}, which the source does not have",
                hint=f"its network interfaces are: {', '.join(sorted(known)) or 'none'}",
            )


def source_processors(inventory: Inventory) -> tuple[int, int]:
    """Sockets and cores of each; a thread counts as a core, for a replica has none."""
    found = inventory.processor
    if found is None:
        return inventory.cpus, 1
    return found.sockets, found.cores_per_socket * found.threads_per_core


def _processors(replica: ReplicaSpec, inventory: Inventory) -> tuple[int, int]:
    sockets, cores = source_processors(inventory)
    sockets = min(replica.sockets or sockets, MAX_CPUS)
    return sockets, min(replica.cores_per_socket or cores, MAX_CPUS // sockets)


def _memory_mib(replica: ReplicaSpec, inventory: Inventory) -> int:
    wanted = replica.memory_mib or max(_LEAST_MEMORY_MIB, -(-inventory.memory_bytes // MIB))
    return min(-(-wanted // _MEMORY_STEP_MIB) * _MEMORY_STEP_MIB, MAX_MEMORY_MIB)
