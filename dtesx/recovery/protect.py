"""From nothing to a protected server: inventory, plan, replica VM, disks."""

from __future__ import annotations

from dataclasses import replace

from dtesx.base.errors import DtesxError, from_code
from dtesx.model.inventory import Inventory
from dtesx.model.plan import JobPlan
from dtesx.model.record import JobRecord
from dtesx.model.vmware import Offer
from dtesx.planning.machine import replica_plan, whereabouts
from dtesx.planning.plan import plan_job
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import layout, refresh_disks
from dtesx.volumes.disks import find_disk
from dtesx.volumes.prepare import prepare_disk


def take_inventory(run: Run) -> None:
    """Ask the source what it is made of, until a plan has been made from it."""
    if run.record.layout is None:
        run.keep(replace(run.record, inventory=run.site.source.inventory()))


def plan(run: Run) -> None:
    """Plan the replica. Raises the first thing that keeps the plan from being carried out."""
    made = job_plan(run.record, run.site, inventory_of(run.record))
    for obstacle in made.obstacles:
        raise from_code(obstacle.code, obstacle.message, obstacle.hint)
    run.detail("; ".join(caution.message for caution in made.warnings))
    run.keep(replace(run.record, layout=made.layout))


def job_plan(record: JobRecord, site: Surroundings, inventory: Inventory) -> JobPlan:
    """What a job makes of such a source with what vSphere has now."""
    with site.vsphere() as vsphere:
        appliance = vsphere.find_vm(site.appliance_vm)
        offer = vsphere.offer(appliance.ref, whereabouts(record.spec.replica))
    return planned_with(record, inventory, offer)


def planned_with(record: JobRecord, inventory: Inventory, offer: Offer) -> JobPlan:
    """What a job makes of such a source with what is offered; the replica's disks stay once it exists."""
    kept = record.layout if record.replica_ref else None
    return plan_job(record.spec, inventory, offer, owner=owner_of(record), kept=kept)


def create_replica(run: Run) -> None:
    """Create the replica VM, powered off, with its disks."""
    planned = layout(run.record)
    wanted = replica_plan(run.record.spec, inventory_of(run.record), planned, owner_of(run.record))
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


def inventory_of(record: JobRecord) -> Inventory:
    """The inventory that the job was planned from."""
    if record.inventory is None:
        raise DtesxError("the source's inventory is missing", hint="create the job again")
    return record.inventory


def owner_of(record: JobRecord) -> str:
    """The mark in a VM's annotation that says whose it is."""
    return f"dtesx job {record.id}"
