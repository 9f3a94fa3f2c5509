"""Deleting a job: the appliance is left clean, the replica is kept or removed as asked."""

from __future__ import annotations

import shutil

from dtesx.base.errors import Conflict, ConnectionFailed, NotFound
from dtesx.recovery.protect import owner_of
from dtesx.recovery.run import Run
from dtesx.volumes.mounts import mounts_below


def stop_mirror(run: Run) -> None:
    """Stop what the source is still sending; a source that is away needs no stopping."""
    try:
        run.site.source.stop_mirror(run.job)
        run.site.source.forget_replication(run.job)
    except ConnectionFailed:
        run.detail("the source does not answer")


def remove_replica(run: Run) -> None:
    """Remove the replica VM with its disks, unless it is to be kept or is running."""
    if run.param("keep_replica") or not run.record.replica_ref:
        run.detail("kept")
        return
    with run.site.vsphere() as vsphere:
        try:
            machine = vsphere.vm(run.record.replica_ref)
        except NotFound:
            return
        if machine.powered_on:
            raise Conflict(
                f"the replica {machine.name} is running",
                hint="power it off first, or delete the job with --replica keep",
            )
        vsphere.destroy_vm(machine.ref, owner=owner_of(run.record))


def clean(run: Run) -> None:
    """Remove the job's directory on the appliance; never through a mount into the replica."""
    left = mounts_below(run.site.directory)
    if left:
        raise Conflict(
            f"{left[0]} is still mounted", hint=f"unmount it (`umount {left[0]}`), then delete again"
        )
    if run.site.directory.exists():
        shutil.rmtree(run.site.directory)
