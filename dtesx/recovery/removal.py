"""Deleting a job: the appliance is left clean, the replica is kept or removed as asked."""

from __future__ import annotations

import shutil

from dtesx.base.errors import Conflict, ConnectionFailed, NotFound
from dtesx.model.vmware import VirtualMachine
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import owner_of, replica
from dtesx.volumes.mounts import mounts_below
from dtesx.vsphere.client import VSphere


def stop_mirror(run: Run) -> None:
    """Stop what the source is still sending; a source that is away needs no stopping."""
    try:
        run.site.source.stop_mirror(run.job)
        run.site.source.forget_replication(run.job)
    except ConnectionFailed:
        run.detail("the source does not answer")


def remove_replica(run: Run) -> None:
    """Remove the replica VM with its disks, unless it is to be kept or is running."""
    if run.param("keep_replica") or run.record.layout is None:
        run.detail("kept" if run.record.layout else "none was made")
        return
    with run.site.vsphere() as vsphere:
        machine = _made(run, vsphere)
        if machine is None:
            run.detail("there is none")
            return
        if machine.powered_on:
            raise Conflict(
                f"the replica {machine.name} is running",
                hint="power it off first, or delete the job with --replica keep",
            )
        vsphere.destroy_vm(machine.ref, owner=owner_of(run.record))


def _made(run: Run, vsphere: VSphere) -> VirtualMachine | None:
    """The replica, also one that a killed service made and could not note any more."""
    if not run.record.replica_ref:
        return vsphere.replica_of(owner_of(run.record), run.record.spec.replica_name)
    try:
        return replica(run.record, vsphere)
    except NotFound:
        return None


def clean(run: Run) -> None:
    """Remove the job's directory on the appliance; never through a mount into the replica."""
    left = mounts_below(run.site.directory)
    if left:
        raise Conflict(
            f"{left[0]} is still mounted", hint=f"unmount it (`umount {left[0]}`), then delete again"
        )
    if run.site.directory.exists():
        shutil.rmtree(run.site.directory)
