"""VMware snapshots of a VM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dtesx.base.errors import VSphereError
from dtesx.model.vmware import Snapshot
from dtesx.vsphere.collector import properties
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import Progress, run_task, unseen


def take(
    session: Session, machine: Any, name: str, description: str, on_progress: Progress = unseen
) -> Snapshot:
    """Take a snapshot of the disks (no memory, no quiescing: the replica does not run)."""
    made = run_task(
        session,
        lambda: machine.CreateSnapshot_Task(name=name, description=description, memory=False, quiesce=False),
        on_progress=on_progress,
        heavy=True,
    )
    for snapshot in listed(session, machine):
        if snapshot.ref == str(made._moId):
            return snapshot
    raise VSphereError(
        f"vSphere reported the snapshot {name} as taken, but does not list it",
        hint="look at the VM's snapshots in the vSphere client, then run the command again",
    )


def remove(session: Session, snapshot: Any, on_progress: Progress = unseen) -> None:
    """Remove a snapshot alone; what changed since it is merged into its parent."""
    run_task(
        session,
        lambda: snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True),
        on_progress=on_progress,
        heavy=True,
    )


def listed(session: Session, machine: Any) -> tuple[Snapshot, ...]:
    """Every snapshot, parents before children; a VM without any has no such property at all."""
    return flattened(properties(session, machine, ("snapshot",)).get("snapshot"))


def flattened(info: Any) -> tuple[Snapshot, ...]:
    """A snapshot tree as a list (pure); ``info`` None gives none."""
    if info is None:
        return ()
    current = str(info.currentSnapshot._moId) if info.currentSnapshot else ""
    return tuple(
        Snapshot(
            ref=str(node.snapshot._moId),
            name=node.name,
            description=node.description or "",
            created=node.createTime.timestamp(),
            current=str(node.snapshot._moId) == current,
        )
        for node in _nodes(info.rootSnapshotList)
    )


def _nodes(trees: Any) -> Iterator[Any]:
    for node in trees or ():
        yield node
        yield from _nodes(node.childSnapshotList)
