"""The part every operation shares: disks to and from the appliance, the worker, the mirror."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, NotFound, from_code
from dtesx.base.log import get_logger
from dtesx.model.api import MirrorStatus
from dtesx.model.layout import Layout
from dtesx.model.record import JobRecord
from dtesx.model.request import FINAL_PHASES, MirrorPhase, MirrorRequest
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerSpec
from dtesx.model.vmware import VirtualDisk, VirtualMachine, owner_note
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run
from dtesx.volumes.mounts import release_disks
from dtesx.vsphere.client import VSphere

log = get_logger(__name__)

_POLL = 0.3
_SOURCE_PATIENCE = 60.0
_WAITING = {
    MirrorPhase.PAUSED: "paused",
    MirrorPhase.SCHEDULED: "waiting until data may travel",
    MirrorPhase.TARGET_PAUSED: "the target is paused",
    MirrorPhase.TARGET_FULL: "no space is left on the replica's disks, waiting for some",
}


def attach(run: Run) -> None:
    """Attach the replica's disks, as they are now (top of chain), to the appliance."""
    with run.site.vsphere() as vsphere:
        appliance = vsphere.vm_by_instance(run.site.appliance_vm)
        follow_disks(run, vsphere, appliance)
        refresh_disks(run, vsphere)
        for number, disk in enumerate(run.record.disks, 1):
            run.detail(f"disk {number} of {len(run.record.disks)}: {disk.path}")
            vsphere.attach_disk(appliance.ref, disk)


def attach_disks(record: JobRecord, site: Surroundings) -> None:
    """Attach the replica's disks, as they are now, to the appliance."""
    with site.vsphere() as vsphere:
        appliance = vsphere.vm_by_instance(site.appliance_vm)
        for disk in replica(record, vsphere).disks:
            vsphere.attach_disk(appliance.ref, disk)


def detach(run: Run) -> None:
    """Take the replica's disks from the appliance; their files stay.

    What lies over them goes before: a preparation that was killed leaves it, or the system put it there.
    """
    if not run.record.replica_ref and not run.record.lent:
        return
    release_disks(run.site.directory, [disk.uuid for disk in run.record.disks])
    with run.site.vsphere() as vsphere:
        appliance = vsphere.vm_by_instance(run.site.appliance_vm)
        give_back(run, vsphere, appliance)
        run.keep(replace(run.record, disks=tuple(_held(appliance, disk) for disk in run.record.disks)))
        for disk in run.record.disks:
            vsphere.detach_disk(appliance.ref, disk)
        follow_disks(run, vsphere, vsphere.vm_by_instance(run.site.appliance_vm))


def give_back(run: Run, vsphere: VSphere, appliance: VirtualMachine) -> None:
    """Take from the appliance what it holds only to look at it."""
    for disk in run.record.lent:
        vsphere.detach_disk(appliance.ref, disk)
        run.keep(replace(run.record, lent=()))


def follow_disks(run: Run, vsphere: VSphere, appliance: VirtualMachine) -> None:
    """Have the replica find the files of its disks again, when they were moved with the appliance's VM.

    Storage vMotion of a VM moves all disks that it holds, and no other VM that has them is told.
    """
    if not run.record.disks:
        return
    for disk in _present(run.record, vsphere):
        known = next((item for item in run.record.disks if item.is_same(disk)), disk)
        if known.path == disk.path or any(item.is_same(disk) for item in appliance.disks):
            continue
        there = {item.path for item in vsphere.stored_disks(appliance.ref, (known.path, disk.path))}
        if there == {known.path}:
            log.info("a replica's disk was moved", job=run.record.spec.name, now=known.path, before=disk.path)
            vsphere.point_disk(run.record.replica_ref, disk, known.path)


def refresh_disks(run: Run, vsphere: VSphere) -> None:
    """Read the replica's disks again: a snapshot has moved them to new files."""
    run.keep(replace(run.record, disks=replica(run.record, vsphere).disks))


def replica(record: JobRecord, vsphere: VSphere) -> VirtualMachine:
    """The replica's VM. Raises NotFound when it is gone, Conflict when it is not the job's.

    Asked before anything is done to it: a vCenter that was set up anew gives old ids to other VMs.
    """
    found = vsphere.vm(record.replica_ref)
    if not found.belongs_to(owner_of(record)):
        raise Conflict(
            f"the VM {found.name} ({found.ref}) does not belong to this job: its notes do not say so",
            hint="nothing was done to it; if it is the replica, write into its notes again: "
            + owner_note(owner_of(record)).splitlines()[-1],
        )
    return found


def owner_of(record: JobRecord) -> str:
    """The mark in a VM's notes that says whose it is."""
    return f"dtesx job {record.id}"


def _present(record: JobRecord, vsphere: VSphere) -> tuple[VirtualDisk, ...]:
    """The replica's disks; none where it is gone, or not the job's, as it may be when that is deleted."""
    try:
        return replica(record, vsphere).disks
    except (NotFound, Conflict):
        return ()


def _held(appliance: VirtualMachine, disk: VirtualDisk) -> VirtualDisk:
    """A disk of the replica with the path at which the appliance has it, if that knows better."""
    held = next((item for item in appliance.disks if item.is_same(disk)), disk)
    known = held.path in disk.below or held.below
    return disk if known else replace(disk, path=held.path)


def layout(record: JobRecord) -> Layout:
    """The job's planned layout."""
    if record.layout is None:
        raise DtesxError(
            "the replica's disks were never planned", hint="create the job again with the same file"
        )
    return record.layout


def start_worker(run: Run) -> None:
    """Start the job's target worker and wait until it listens."""
    if not run.record.data_port:
        run.keep(replace(run.record, data_port=run.site.workers.free_port()))
    run.site.workers.start(worker_spec(run.record, run.site))


def stop_worker(run: Run) -> None:
    """End the worker; afterwards nothing of the replica is mounted, and no epoch is half there.

    One that was cut off while it was applied is applied again.
    """
    run.site.workers.stop(run.job)
    if run.site.workers.unsettled(run.job):
        run.detail("applying what arrived whole")
        attach(run)
        start_worker(run)
        run.site.workers.stop(run.job)
    if run.site.workers.unsettled(run.job):
        raise DtesxError(
            "the target worker cannot apply what arrived",
            hint="look at worker.log in the job's directory on the appliance, then run the command again",
        )


def end_worker(run: Run) -> None:
    """End the worker, whatever it has still to do; afterwards nothing of the replica is mounted."""
    run.site.workers.stop(run.job)


def worker_spec(record: JobRecord, site: Surroundings) -> WorkerSpec:
    """What the job's worker is told."""
    return WorkerSpec(
        job=record.id,
        layout=layout(record),
        disk_uuids=tuple(disk.uuid for disk in record.disks),
        address=site.listen,
        port=record.data_port,
        source_certificate=site.source.certificate,
        identity_directory=str(site.identity_directory),
        options=record.spec.target,
        tasks=site.tasks,
    )


def mirror(run: Run) -> None:
    """Have the source mirror to the worker and follow it to the end.

    A source service that restarts is asked again, a worker that died is started again; both
    continue by difference, the first paused if it was. A limit that users set meanwhile is passed on.
    Gives up when the source is away for a minute.
    """
    request = mirror_request(run.record, run.site, rebind=run.param("rebind"))
    status = run.site.source.start_mirror(request)
    last_seen = time.monotonic()
    while status.phase not in FINAL_PHASES:
        run.pause(_POLL)
        if run.site.workers.status(run.job) is None:
            run.site.workers.start(worker_spec(run.record, run.site))
        request = replace(
            request, paused=status.phase is MirrorPhase.PAUSED, bandwidth=run.site.journal.bandwidth(run.job)
        )
        try:
            status = _ask(run, request)
            _limit(run, status, request.bandwidth)
            last_seen = time.monotonic()
        except ConnectionFailed:
            if time.monotonic() - last_seen > _SOURCE_PATIENCE:
                raise
            run.detail("the source does not answer; trying again")
            continue
        waiting = _WAITING.get(status.phase)
        text = _progress(status.stats) + (f"; {waiting}" if waiting else "")
        run.detail(text, _fraction(status.stats))
    _conclude(run, status)


def _ask(run: Run, request: MirrorRequest) -> MirrorStatus:
    try:
        return run.site.source.mirror_status(run.job)
    except NotFound:
        return run.site.source.start_mirror(request)


def _limit(run: Run, status: MirrorStatus, bandwidth: int | None) -> None:
    if status.bandwidth != bandwidth and status.phase not in FINAL_PHASES:
        with suppress(NotFound):  # it ended meanwhile
            run.site.source.limit_mirror(run.job, bandwidth)


def _conclude(run: Run, status: MirrorStatus) -> None:
    run.detail(_progress(status.stats), _fraction(status.stats))
    if status.phase is MirrorPhase.STOPPED:
        raise DtesxError("the mirror was stopped on the source", hint="run `dtesx job mirror` again")
    if status.problem is not None:
        raise from_code(status.problem.code, status.problem.message, status.problem.hint)
    run.keep(replace(run.record, mirror=status.stats, mirrored_at=run.clock()))


def mirror_request(record: JobRecord, site: Surroundings, *, rebind: bool = False) -> MirrorRequest:
    """What the source is asked to mirror, and where to."""
    return MirrorRequest(
        job=record.id,
        address=record.spec.route or site.source.local_address(),
        port=record.data_port,
        certificate=site.certificate,
        mount_points=tuple(found.mount_point for found in layout(record).file_systems()),
        mirror=record.spec.mirror,
        link=record.spec.link,
        rebind=rebind,
        bandwidth=site.journal.bandwidth(record.id),
    )


def stamp(moment: float) -> str:
    """A time (Unix seconds) as details of steps tell it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


def _progress(stats: MirrorStats) -> str:
    done = stats.files_sent + stats.files_skipped
    text = f"{done:,} of {stats.files_total:,} files, {stats.bytes_sent / 1e6:,.0f} MB sent"
    if stats.problems:
        text += f", {len(stats.problems)} paths with problems"
    return text


def _fraction(stats: MirrorStats) -> float:
    if not stats.files_total:
        return -1.0
    return min(1.0, (stats.files_sent + stats.files_skipped) / stats.files_total)
