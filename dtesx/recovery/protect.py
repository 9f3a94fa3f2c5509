"""From nothing to a protected server: inventory, plan, replica VM, disks."""

from __future__ import annotations

from dataclasses import replace

from dtesx.base.errors import DtesxError, from_code
from dtesx.model.inventory import Inventory
from dtesx.model.job import StepState
from dtesx.model.plan import JobPlan
from dtesx.model.record import JobRecord
from dtesx.model.vmware import Offer, VirtualDisk, VirtualMachine
from dtesx.planning import existing
from dtesx.planning.machine import replica_plan, whereabouts
from dtesx.planning.plan import plan_job
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import detach, give_back, layout, owner_of, refresh_disks
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mounts import release_disks
from dtesx.volumes.prepare import check_existing, prepare_disks
from dtesx.vsphere.client import VSphere


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
        offer = offered(record, vsphere, vsphere.vm_by_instance(site.appliance_vm))
    return planned_with(record, inventory, offer)


def offered(record: JobRecord, vsphere: VSphere, appliance: VirtualMachine) -> Offer:
    """What vSphere has for the job; existing disks count as long as the replica is not made of them."""
    replica = record.spec.replica
    existing = () if record.replica_ref else replica.storage.existing
    return vsphere.offer(appliance.ref, whereabouts(replica), existing)


def planned_with(record: JobRecord, inventory: Inventory, offer: Offer) -> JobPlan:
    """What a job makes of such a source with what is offered; the replica's disks stay once it exists."""
    kept = record.layout if record.replica_ref else None
    return plan_job(record.spec, inventory, offer, owner=owner_of(record), kept=kept)


def look_at_existing(run: Run) -> None:
    """See that each existing disk is blank or a former replica's, before anything is done to it.

    The appliance holds it for the moment, which also proves that no running VM does.
    """
    planned = layout(run.record)
    disks = [disk for disk in planned.disks if disk.existing]
    if not disks:
        run.detail("left out: the job uses none")
        return
    with run.site.vsphere() as vsphere:
        appliance = vsphere.vm_by_instance(run.site.appliance_vm)
        give_back(run, vsphere, appliance)
        for disk in disks:
            run.detail(disk.existing)
            stored = vsphere.stored_disks(appliance.ref, [disk.existing])
            for obstacle in existing.obstacles([disk], stored):
                raise from_code(obstacle.code, obstacle.message, obstacle.hint)
            lent = VirtualDisk(0, disk.existing, "", disk.size_bytes, 0, 0)
            run.keep(replace(run.record, lent=(lent,)))
            held = vsphere.attach_disk(appliance.ref, lent)
            try:
                check_existing(find_disk(held.uuid), planned, disk)
            finally:
                release_disks(run.site.directory, [held.uuid])
                give_back(run, vsphere, appliance)


def create_replica(run: Run) -> None:
    """Create the replica VM, powered off, with its disks."""
    planned = layout(run.record)
    wanted = replica_plan(run.record.spec, inventory_of(run.record), planned, owner_of(run.record))
    with run.site.vsphere() as vsphere:
        appliance = vsphere.vm_by_instance(run.site.appliance_vm)
        machine = vsphere.create_replica(wanted, beside=appliance.ref, on_progress=run.percent)
        run.keep(replace(run.record, replica_ref=machine.ref))
        refresh_disks(run, vsphere)


def let_go(run: Run) -> None:
    """Take the replica's disks from the appliance, when their creation failed before files came."""
    done = {step.name for step in run.operation.steps if step.state is StepState.DONE}
    if "prepare" not in done:
        detach(run)


def prepare(run: Run) -> None:
    """Partition the replica's disks and make volume groups and file systems with the source's UUIDs."""
    prepare_disks(layout(run.record), [find_disk(disk.uuid) for disk in run.record.disks])


def inventory_of(record: JobRecord) -> Inventory:
    """The inventory that the job was planned from."""
    if record.inventory is None:
        raise DtesxError("the source's inventory is missing", hint="create the job again")
    return record.inventory
