"""From nothing to a protected server: inventory, plan, replica VM, disks."""

from __future__ import annotations

from dataclasses import replace

from dtesx.base.errors import DtesxError, UsageError
from dtesx.model.inventory import Inventory, OperatingSystem
from dtesx.model.layout import MIB, Layout
from dtesx.model.record import JobRecord
from dtesx.model.vmware import NicPlan, ReplicaPlan
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import layout, refresh_disks
from dtesx.volumes.disks import find_disk
from dtesx.volumes.plan import plan_layout
from dtesx.volumes.prepare import prepare_disk

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


def take_inventory(run: Run) -> None:
    """Ask the source what it is made of."""
    run.keep(replace(run.record, inventory=run.site.source.inventory()))


def plan(run: Run) -> None:
    """Plan the replica's disks from the inventory."""
    if run.record.inventory is None:
        raise DtesxError("the source's inventory is missing", hint="create the job again")
    run.keep(replace(run.record, layout=plan_layout(run.record.inventory)))


def create_replica(run: Run) -> None:
    """Create the replica VM, powered off, with its disks."""
    wanted = replica_plan(run.record, layout(run.record))
    with run.site.vsphere() as vsphere:
        appliance = vsphere.find_vm(run.site.appliance_vm)
        machine = vsphere.create_replica(wanted, beside=appliance.ref)
        run.keep(replace(run.record, replica_ref=machine.ref))
        refresh_disks(run, vsphere)


def prepare(run: Run) -> None:
    """Partition the replica's disks and make their file systems with the source's UUIDs."""
    planned = layout(run.record)
    for disk, virtual in zip(planned.disks, run.record.disks, strict=True):
        run.detail(f"disk {disk.index + 1} of {len(planned.disks)}: {virtual.path}")
        prepare_disk(find_disk(virtual.uuid), disk)


def owner_of(record: JobRecord) -> str:
    """The mark in a VM's annotation that says whose it is."""
    return f"dtesx job {record.id}"


def replica_plan(record: JobRecord, planned: Layout) -> ReplicaPlan:
    """The replica VM that a job asks for (pure).

    Raises UsageError when the job maps no network for a NIC that it does not leave out.
    """
    spec, inventory = record.spec, record.inventory
    if inventory is None:
        raise DtesxError("the source's inventory is missing", hint="create the job again")
    return ReplicaPlan(
        name=spec.replica_name,
        owner=owner_of(record),
        datastore=spec.replica.datastore,
        guest_id=guest_id(inventory.os),
        firmware=inventory.firmware,
        cpus=spec.replica.cpus or inventory.cpus,
        memory_mib=spec.replica.memory_mib or _memory_mib(inventory),
        disk_bytes=tuple(disk.size_bytes for disk in planned.disks),
        nics=_nics(record, inventory),
        disk_format=spec.replica.disk_format,
        resource_pool=spec.replica.resource_pool,
        folder=spec.replica.folder,
    )


def guest_id(os: OperatingSystem) -> str:
    """The vSphere guest identifier for an operating system."""
    return _GUESTS.get(os.id, _OTHER_GUEST)


def _memory_mib(inventory: Inventory) -> int:
    # VirtualMachineConfigSpec.memoryMB must be a multiple of 4.
    return max(1024, -(-inventory.memory_bytes // (4 * MIB)) * 4)


def _nics(record: JobRecord, inventory: Inventory) -> tuple[NicPlan, ...]:
    known = {nic.name for nic in inventory.nics}
    unknown = set(record.spec.replica.networks) - known - {"*"}
    if unknown:
        raise UsageError(
            f"replica.networks names {', '.join(sorted(unknown))}, which the source does not have",
            hint=f"its network interfaces are: {', '.join(sorted(known)) or 'none'}",
        )
    networks = (record.spec.replica.network_for(nic.name) for nic in inventory.nics)
    return tuple(NicPlan(network) for network in networks if network)
