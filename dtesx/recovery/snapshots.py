"""VMware snapshots of the replica as recovery points."""

from __future__ import annotations

import time
from dataclasses import replace

from dtesx.model.snapshots import SCHEDULED
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import replica


def check(run: Run) -> None:
    """Find out that vSphere is away before protection is paused for it."""
    with run.site.vsphere() as vsphere:
        vsphere.vm_by_instance(run.site.appliance_vm)
        replica(run.record, vsphere)


def take(run: Run) -> None:
    """Snapshot the powered-off replica, whose disks the appliance has let go.

    The name carries the operation's id, so that a repeated step finds the snapshot it made.
    """
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(run.clock()))
    description = run.operation.params.get("description", "")
    with run.site.vsphere() as vsphere:
        ref = replica(run.record, vsphere).ref
        taken = [s.name for s in vsphere.snapshots(ref) if run.operation.id in s.name]
        name = taken[0] if taken else f"dtesx {stamp} UTC {run.operation.id}"
        if not taken:
            vsphere.create_snapshot(ref, name, description, run.percent)
    run.keep(replace(run.record, snapshot_at=run.clock()))
    run.result(snapshot=name)


def expire(run: Run) -> None:
    """Remove the oldest of those taken at set times, as far as they are more than the job keeps."""
    wanted = run.record.spec.snapshots
    if not wanted.every:
        run.detail("left out: the job takes none by itself")
        return
    with run.site.vsphere() as vsphere:
        found = vsphere.snapshots(replica(run.record, vsphere).ref)
        scheduled = sorted((s for s in found if s.description == SCHEDULED), key=lambda s: s.created)
        for snapshot in scheduled[: -wanted.keep]:
            run.detail(snapshot.name)
            vsphere.remove_snapshot(snapshot, run.percent)
