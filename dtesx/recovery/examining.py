"""Asking source, vSphere and appliance for what a validation judges; nothing is changed."""

from __future__ import annotations

import time
from pathlib import Path

from dtesx import __version__
from dtesx.base.errors import Conflict, DtesxError, NotFound
from dtesx.model.inventory import Inventory
from dtesx.model.job import Problem
from dtesx.model.layout import Layout
from dtesx.model.record import JobRecord
from dtesx.model.validation import Finding
from dtesx.model.vmware import VirtualMachine, VirtualNic
from dtesx.planning.machine import replica_plan
from dtesx.planning.obstacles import disk_uuids
from dtesx.recovery import health, protect
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import problem_of
from dtesx.recovery.transfer import layout, owner_of, replica
from dtesx.validation.facts import ApplianceFacts, Facts, PlanFacts, ReplicaFacts, SourceFacts, VsphereFacts
from dtesx.volumes import programs
from dtesx.volumes.mapping import group_below
from dtesx.vsphere.client import VSphere

_What = PlanFacts | ReplicaFacts | Problem | None


def examine(record: JobRecord, site: Surroundings, claims: tuple[str, ...] = ()) -> Facts:
    """All facts about a job; what keeps one from being learned is a fact itself.

    ``claims`` are sentences about other jobs that have this one's names.
    """
    source = _source(record, site)
    inventory = source.inventory if isinstance(source, SourceFacts) else None
    vsphere, what = _vsphere(record, site, inventory)
    planned = what.plan.layout if isinstance(what, PlanFacts) else None
    return Facts(_appliance(record, site, planned, claims), source, vsphere, what)


def _appliance(
    record: JobRecord, site: Surroundings, planned: Layout | None, claims: tuple[str, ...]
) -> ApplianceFacts:
    lacking = programs.missing(programs.needed(planned) if planned else ())
    named = record.spec.failover.before
    own, groups = group_below(Path("/")), planned.groups if planned else ()
    return ApplianceFacts(
        claims,
        lacking,
        programs.packages(lacking),
        programs.installable(),
        missing_tasks=(named,) if named and named not in site.tasks else (),
        own_group=own if own in {group.name for group in groups} else "",
    )


def _source(record: JobRecord, site: Surroundings) -> SourceFacts | Problem:
    try:
        before = time.time()
        status = site.source.service()
        now = (before + time.time()) / 2
        address, reason = _way_back(record, site)
        return SourceFacts(
            version=status.version,
            own_version=__version__,
            ahead=status.time - now,
            address=address,
            unreachable=reason,
            inventory=site.source.inventory(),
            planned_from=record.inventory if record.replica_ref else None,
        )
    except DtesxError as error:
        return problem_of(error)


def _way_back(record: JobRecord, site: Surroundings) -> tuple[str, str]:
    """Where the source would connect to, and why it cannot."""
    address = record.spec.route or site.source.local_address()
    try:
        with site.workers.listening(record.id, record.data_port) as port:
            return f"{address}:{port}", site.source.reaches(address, port)
    except Conflict as error:
        return address, error.message


def _vsphere(
    record: JobRecord, site: Surroundings, inventory: Inventory | None
) -> tuple[VsphereFacts | Problem, _What]:
    try:
        with site.vsphere() as vsphere:
            found = VsphereFacts(vsphere.about(), vsphere.changes_nothing())
            return found, _replica(record, site, vsphere, inventory)
    except DtesxError as error:
        return problem_of(error), None


def _replica(record: JobRecord, site: Surroundings, vsphere: VSphere, inventory: Inventory | None) -> _What:
    try:
        appliance = vsphere.vm_by_instance(site.appliance_vm)
        if record.replica_ref:
            return _made(record, site, vsphere, appliance)
        return _planned(record, vsphere, appliance, inventory) if inventory is not None else None
    except DtesxError as error:
        return problem_of(error)


def _planned(
    record: JobRecord, vsphere: VSphere, appliance: VirtualMachine, inventory: Inventory
) -> PlanFacts:
    offer = protect.offered(record, vsphere, appliance)
    plan = protect.planned_with(record, inventory, offer)
    lacks = vsphere.missing_privileges(plan.replica, beside=appliance.ref)
    clash = None
    try:
        vsphere.check_name(plan.replica, beside=appliance.ref)
    except Conflict as error:
        clash = problem_of(error)
    return PlanFacts(plan, clash, lacks)


def _made(record: JobRecord, site: Surroundings, vsphere: VSphere, appliance: VirtualMachine) -> ReplicaFacts:
    made = replica_plan(record.spec, protect.inventory_of(record), layout(record), owner_of(record))
    ref: str = record.replica_ref
    nics: tuple[VirtualNic, ...] = ()
    try:
        machine = replica(record, vsphere)
        problem, nics = disks_gone(record, machine), machine.nics
    except (NotFound, Conflict) as error:
        ref, problem = "", problem_of(error)
    lacks = vsphere.missing_privileges(made, beside=appliance.ref, replica_ref=ref)
    offer = protect.offered(record, vsphere, appliance)
    named = {made.datastore, *(disk.datastore for disk in made.disks)}
    stores = tuple(store for store in offer.datastores if store.name in named)
    return ReplicaFacts(problem, lacks, stores, tuple(disk_uuids(offer)), _health(record, site, nics))


def _health(record: JobRecord, site: Surroundings, nics: tuple[VirtualNic, ...]) -> tuple[Finding, ...]:
    """What the replica's tree says now, or said last where it is not mounted."""
    try:
        return health.findings(record, site, nics)
    except DtesxError:  # it is mounted only while the job has a worker
        return record.health.findings if record.health else ()


def disks_gone(record: JobRecord, machine: VirtualMachine) -> Problem | None:
    """What is to be told when somebody took disks from a replica; None when it has all of them."""
    if len(machine.disks) >= len(record.disks):
        return None
    return Problem(
        Conflict.code,
        f"the replica {machine.name} has {len(machine.disks)} disks; the job made {len(record.disks)}",
        "attach what somebody detached in the vSphere client, or delete the job and create it again",
    )
