"""What a plan takes of the datastores."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.base.errors import NotFound, TargetFull
from dtesx.model.layout import GIB, MIB, DiskFormat, DiskLayout
from dtesx.model.plan import Caution, DatastoreUse, Obstacle
from dtesx.model.validation import Check
from dtesx.model.vmware import Datastore, Offer, ReplicaPlan
from dtesx.planning.workload import Workload

HEADROOM_BYTES = 5 * GIB
"""What should stay free: file systems and snapshots take more than the files of the source."""


def datastore_uses(plan: ReplicaPlan, workload: Workload, offer: Offer) -> tuple[DatastoreUse, ...]:
    """Every datastore that the plan names and the appliance's host has."""
    named = {plan.datastore, *(disk.datastore for disk in plan.disks)}
    return tuple(_use(store, plan, workload) for store in offer.datastores if store.name in named)


def _use(store: Datastore, plan: ReplicaPlan, workload: Workload) -> DatastoreUse:
    new = [disk for disk in plan.disks if disk.datastore == store.name and not disk.existing]
    # A running machine without reserved memory has a swap file of its size among its own files.
    swap = plan.memory_mib * MIB if store.name == plan.datastore else 0
    needed = sum(disk.size_bytes for disk in new) + swap
    return DatastoreUse(
        store.name,
        store.type,
        store.capacity_bytes,
        store.free_bytes,
        needed_bytes=needed,
        at_once_bytes=sum(_at_once(disk, plan, workload) for disk in new),
        left_bytes=store.free_bytes - needed,
    )


def _at_once(disk: DiskLayout, plan: ReplicaPlan, workload: Workload) -> int:
    """What the first mirror fills of a disk; a group's volumes count where it has its first disk."""
    if disk.format is not DiskFormat.THIN:
        return disk.size_bytes
    uuids = {partition.uuid for partition in disk.partitions if partition.uuid}
    before = {part.group for other in plan.disks[: disk.index] for part in other.partitions}
    groups = {partition.group for partition in disk.partitions} - before
    here = [v for v in workload.volumes if (v.uuid and v.uuid in uuids) or (v.group and v.group in groups)]
    return sum(volume.used_bytes for volume in here)


def obstacles(plan: ReplicaPlan, uses: tuple[DatastoreUse, ...], offer: Offer) -> Iterator[Obstacle]:
    """Datastores that are not there, or have too little room for what is written at once."""
    present = {store.name for store in offer.datastores}
    for name in sorted({plan.datastore, *(disk.datastore for disk in plan.disks)} - present):
        yield Obstacle(
            Check.DATASTORES,
            NotFound.code,
            f"there is no datastore {name}; the appliance's host has: {', '.join(sorted(present)) or 'none'}",
            "correct replica.datastore or replica.storage in the job",
        )
    for use in uses:
        if use.at_once_bytes > use.free_bytes:
            yield Obstacle(
                Check.SPACE,
                TargetFull.code,
                f"the datastore {use.name} has {use.free_bytes // GIB} GiB free, "
                f"{-(-use.at_once_bytes // GIB)} GiB are needed at once",
                "free space there, or put disks on other datastores (replica.storage)",
            )


def warnings(uses: tuple[DatastoreUse, ...]) -> Iterator[Caution]:
    """Datastores that get full when the disks do."""
    for use in uses:
        if use.left_bytes < HEADROOM_BYTES and use.at_once_bytes <= use.free_bytes:
            yield Caution(
                Check.SPACE,
                f"the datastore {use.name} keeps less than {HEADROOM_BYTES // GIB} GiB free when the "
                "replica's disks are full and it runs",
            )
