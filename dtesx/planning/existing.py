"""What keeps existing disks from being used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dtesx.base.errors import Conflict, NotFound
from dtesx.model.layout import DiskLayout
from dtesx.model.plan import Obstacle
from dtesx.model.validation import Check
from dtesx.model.vmware import StoredDisk

_KEEP = "without deleting its files"


def obstacles(disks: Sequence[DiskLayout], stored: Sequence[StoredDisk]) -> Iterator[Obstacle]:
    """What stands against the disks of a plan that are to be existing ones; ``stored`` were found."""
    found = {disk.path: disk for disk in stored}
    for disk in disks:
        if disk.existing and disk.existing not in found:
            yield _obstacle(
                NotFound.code,
                f"there is no virtual disk {disk.existing} on the datastores of the appliance's host",
                "correct `existing` in replica.storage, or bring the disk there with its -flat.vmdk file",
            )
        elif disk.existing:
            yield from _unusable(found[disk.existing])


def _unusable(disk: StoredDisk) -> Iterator[Obstacle]:
    if disk.holders:
        yield _obstacle(
            Conflict.code,
            f"the existing disk {disk.path} belongs to the VM {', '.join(disk.holders)}",
            f"remove the disk from that VM in the vSphere client, {_KEEP}",
        )
    if disk.deltas:
        yield _obstacle(
            Conflict.code,
            f"the existing disk {disk.path} has snapshots: {', '.join(disk.deltas)}",
            "delete all snapshots of the VM that had the disk, then remove the disk from it " + _KEEP,
        )
    if disk.twins:
        yield _obstacle(
            Conflict.code,
            f"the existing disk {disk.path} has the UUID of another disk, which the VM "
            f"{', '.join(disk.twins)} has",
            "give the copy a UUID of its own on the ESXi host: vmkfstools -J setuuid",
        )


def _obstacle(code: str, message: str, hint: str) -> Obstacle:
    return Obstacle(Check.EXISTING_DISKS, code, message, hint)
