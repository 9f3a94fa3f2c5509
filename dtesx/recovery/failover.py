"""Failover to live data: the replica becomes the server."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from dtesx.base.attended import attend
from dtesx.base.errors import CommandFailed, Conflict, ConnectionFailed, Halted
from dtesx.boot import fix
from dtesx.model.tasks import Task
from dtesx.recovery import replication, transfer
from dtesx.recovery.run import Run
from dtesx.recovery.wiring import wiring
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mounts import mounted_layout

_SHUTDOWN_SECONDS = 120.0
_ADDRESS_SECONDS = 600.0
_TICK = 0.1
_OUTPUT = 1000


def run_before(run: Run) -> None:
    """Run the task that the job names for the beginning. Whatever comes of it is told, and stops nothing."""
    name = run.record.spec.failover.before
    task = run.site.tasks.get(name)
    if not name:
        run.detail("left out: the job names none")
        return
    told = _outcome(run, task) if task is not None else "the appliance has none of that name"
    told = f"task {name}: {told}"
    run.detail(told)
    run.result(before=told)


def _outcome(run: Run, task: Task) -> str:
    spec = run.record.spec
    environment = {"DTESX_JOB": spec.name, "DTESX_SOURCE": spec.source, "DTESX_VM": spec.replica_name}
    try:
        done = attend(
            task.command,
            wait=lambda: run.pause(_TICK),
            timeout=task.timeout,
            keep=_OUTPUT,
            user=task.user,
            env=environment,
        )
    except CommandFailed as error:
        return error.message
    ended = f"exit status {done.status}" if done.in_time else f"ended after {task.timeout:.0f} s"
    return f"{ended}; {done.output.decode(errors='replace').strip()}".removesuffix("; ")


def final_mirror(run: Run) -> None:
    """Have the replica get what was written by now, if that was asked for and the source still answers.

    Where the job replicates that is a last recovery point, else a mirror.
    """
    if not run.param("final_mirror"):
        run.detail("left out, as asked")
        return
    if not run.site.source.answers():
        run.detail(f"the source does not answer; the replica is as of {_as_of(run)}")
        return
    if run.site.workers.paused(run.job):
        raise Conflict(
            "the job's target is paused, so that nothing more can be mirrored to it",
            hint="run `dtesx job resume --target` first, or fail over with --no-final-mirror",
        )
    try:
        # A mirror that runs already may have passed files that changed since: this one starts anew.
        run.site.source.stop_mirror(run.job)
        transfer.attach(run)
        transfer.start_worker(run)
        if not replication.last_point(run):
            transfer.mirror(run)
    except ConnectionFailed as error:
        raise ConnectionFailed(
            f"the final mirror broke off: {error.message}",
            hint="run the failover again when the source is back, or with --no-final-mirror to start "
            "the replica with what arrived",
        ) from error
    except Halted as error:
        error.hint = (
            "if the source is what was damaged, run the failover again with --no-final-mirror; "
            "if it is as you want it, run `dtesx job mirror --rebind` before"
        )
        raise


def fence(run: Run) -> None:
    """Shut the source down if it still answers: two machines must not carry one identity."""
    if not run.site.source.answers():
        run.detail("the source does not answer")
        return
    run.detail("shutting the source down")
    # A machine that goes down at once cannot answer any more; whether it does is seen below.
    with suppress(ConnectionFailed):
        run.site.source.shut_down()
    deadline = time.monotonic() + _SHUTDOWN_SECONDS
    while run.site.source.answers():
        if time.monotonic() > deadline:
            raise Conflict(
                "the source was asked to shut down but still answers",
                hint="power it off by hand, then run the failover again",
            )
        run.pause(1.0)


def make_bootable(run: Run) -> None:
    """Mount the replica's tree as it will be and adapt it to its new machine."""
    layout = transfer.layout(run.record)
    with run.site.vsphere() as vsphere:
        replica = transfer.replica(run.record, vsphere)
    if replica.powered_on:
        run.detail("the replica runs already")
        return
    transfer.attach(run)
    devices = [find_disk(disk.uuid) for disk in run.record.disks]
    where = run.site.directory / "boot"
    where.mkdir(parents=True, exist_ok=True)
    with mounted_layout(layout, devices, where, nested=True) as mounts:
        changes = fix.make_bootable(mounts["/"], layout, devices[0], wiring(run.record, replica.nics))
    run.result(changes="\n".join(changes))
    run.detail(f"{len(changes)} changes")


def power_on(run: Run) -> None:
    """Start the replica through the API."""
    with run.site.vsphere() as vsphere:
        vsphere.power_on(transfer.replica(run.record, vsphere).ref)


def wait_for_address(run: Run) -> None:
    """Wait until the replica tells its address."""

    def waiting(seconds: float) -> None:
        run.check()
        run.detail(f"the replica is starting: {seconds:.0f} s")

    with run.site.vsphere() as vsphere:
        address = vsphere.wait_for_address(run.record.replica_ref, timeout=_ADDRESS_SECONDS, on_wait=waiting)
    run.keep(replace(run.record, address=address))
    run.result(address=address)


def _as_of(run: Run) -> str:
    epoch, mirrored = run.site.workers.epoch(run.job), run.record.mirrored_at
    if epoch is not None and epoch.taken > mirrored:
        return f"{transfer.stamp(epoch.taken)} (epoch {epoch.number}, {epoch.kind})"
    return transfer.stamp(mirrored) if mirrored else "no complete mirror"
