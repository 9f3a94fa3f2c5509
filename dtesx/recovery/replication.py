"""A job's replication: begun after a mirror, kept going, and brought to its last point."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from dtesx.base.errors import ConnectionFailed, DtesxError, NotFound
from dtesx.model.api import SourceReplication
from dtesx.model.epoch import Epoch
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch, TargetStatus, TransmitMode
from dtesx.model.request import ReplicationRequest
from dtesx.recovery import transfer
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run

_POLL = 0.3
_SOURCE_PATIENCE = 60.0
_RECENT_SECONDS = 60.0
_ROUTE_HINT = "check the network between the two, and the job's `route`"
_KEPT = (JobState.PROTECTED, JobState.SNAPSHOT_FAILED)
_WAITING = {
    TargetStatus.PAUSED: "; the target is paused",
    TargetStatus.FULL: "; no space is left on the replica's disks, waiting for some",
}
_HELD = {
    TransmitMode.PAUSED: "; paused, go on with: dtesx job resume",
    TransmitMode.SCHEDULED: "; waiting for the time to transmit",
}


def kept(record: JobRecord) -> bool:
    """Whether the job replicates by itself in its state, unless users say otherwise (pure)."""
    return record.spec.replication.enabled and record.state in _KEPT


def steerable(record: JobRecord) -> bool:
    """Whether users may pause, resume or stop the job's replication in its state (pure)."""
    return record.spec.replication.enabled and record.state in (*_KEPT, JobState.FAILING_OVER)


def replicate(run: Run) -> None:
    """Have the source go on with what changes from now on, if the job asks for that."""
    if not run.record.spec.replication.enabled:
        run.detail("left out: the job only mirrors")
        return
    run.site.journal.set_replication(run.job, ReplicationSwitch.ON)
    run.site.source.start_replication(request(run.record, run.site))


def revive(record: JobRecord, site: Surroundings) -> None:
    """Start a job's worker when there is none; where its disks are not here, attach them before."""
    if site.workers.status(record.id) is not None:
        return
    spec = transfer.worker_spec(record, site)
    try:
        site.workers.start(spec)
    except DtesxError:
        transfer.attach_disks(record, site)
        site.workers.start(spec)


def ask(record: JobRecord, site: Surroundings) -> SourceReplication | None:
    """Have a job's source go on, or not, as users want it; what it tells, None when it never did.

    Raises ConnectionFailed when it is away.
    """
    if site.journal.replication(record.id) is ReplicationSwitch.STOPPED:
        return stop(record, site)
    return site.source.start_replication(request(record, site))


def stop(record: JobRecord, site: Surroundings) -> SourceReplication | None:
    """Have a job's source replicate no more; what it tells, None when it never did."""
    try:
        if site.source.replication(record.id).report.running:
            site.source.stop_replication(record.id)
        return site.source.replication(record.id)
    except NotFound:
        return None


def request(record: JobRecord, site: Surroundings) -> ReplicationRequest:
    """What the source is asked to replicate."""
    paused = site.journal.replication(record.id) is ReplicationSwitch.PAUSED
    asked = replace(transfer.mirror_request(record, site), paused=paused)
    return ReplicationRequest(asked, record.spec.replication)


def last_point(run: Run) -> bool:
    """Have the replica get all that is written by now, and the replication end; False where there is none.

    Raises ConnectionFailed when the source is away for a minute, or its target is for it, and DtesxError
    when it was stopped there.
    """
    told = _caught_up(run)
    if told is None:
        return False
    run.site.source.stop_replication(run.job)
    run.detail(_named(told.report.epoch))
    return True


def recent_point(run: Run) -> None:
    """Have the replica get all that is written by now, if that can be had within a minute."""
    if run.site.workers.paused(run.job):
        run.detail("left out: the target is paused")
        return
    try:
        told = _caught_up(run, at_most=_RECENT_SECONDS)
    except ConnectionFailed as error:
        run.detail(f"left out: {error.message}")
        return
    if told is None:
        run.detail("left out: the job does not replicate now")
    else:
        run.detail(_named(told.report.epoch))


def _caught_up(run: Run, at_most: float = math.inf) -> SourceReplication | None:
    """Wait until the replica has what is written by now, or so many seconds; None without replication.

    One that users had paused when this began is as good as none.
    """
    if run.site.journal.replication(run.job) is not ReplicationSwitch.ON:
        return None
    try:
        told = asked = run.site.source.replication(run.job)
    except NotFound:
        return None
    if not asked.report.running or asked.report.epoch is None:
        return None
    began = answered = time.monotonic()
    while told.report.current < asked.report.at and time.monotonic() - began < at_most:
        if told.problem is not None:
            return None
        if not told.report.running:
            raise DtesxError("the replication was stopped on the source", hint="run the same command again")
        run.detail(_progress(told))
        run.pause(_POLL)
        revive(run.record, run.site)
        try:
            told = run.site.source.replication(run.job)
            if told.report.target_status is TargetStatus.AWAY:
                raise ConnectionFailed("the source has no connection to its target", hint=_ROUTE_HINT)
            answered = time.monotonic()
        except ConnectionFailed as error:
            if time.monotonic() - answered > _SOURCE_PATIENCE:
                raise
            run.detail(f"{error.message}; trying again")
    return told


def _progress(told: SourceReplication) -> str:
    report = told.report
    waiting = _WAITING.get(report.target_status) or _HELD.get(report.transmit_mode, "")
    return f"{report.changed_names:,} changed names, {report.queue_bytes / 1e6:,.0f} MB on their way{waiting}"


def _named(epoch: Epoch | None) -> str:
    if epoch is None:
        return ""
    return f"epoch {epoch.number}, {epoch.kind}, of {transfer.stamp(epoch.taken)}"
