"""Which disks, partitions and volume groups a replica gets."""

from __future__ import annotations

from collections.abc import Sequence

from dtesx.model.inventory import Inventory
from dtesx.model.layout import Layout
from dtesx.model.replica import DiskStrategy, ReplicaSpec
from dtesx.model.vmware import StoredDisk
from dtesx.planning import match_source, per_volume
from dtesx.planning.drafts import placed
from dtesx.planning.workload import Workload


def plan_layout(
    inventory: Inventory, workload: Workload, replica: ReplicaSpec, stored: Sequence[StoredDisk] = ()
) -> Layout:
    """The replica's disks, the one that starts it first; everything is aligned to 1 MiB.

    Volumes are at least as large as on the source unless the job says otherwise; ``stored`` are the existing
    disks that were found. Raises UsageError for options that do not fit the source, or these disks.
    """
    found = {disk.path: disk.size_bytes for disk in stored}
    firmware = replica.firmware or inventory.firmware
    if replica.storage.strategy is DiskStrategy.PER_VOLUME:
        disks = per_volume.drafts(workload, replica, firmware, found)
        groups = per_volume.groups(workload, replica)
    else:
        disks = match_source.drafts(inventory, workload, replica, firmware, found)
        groups = match_source.groups(workload)
    return Layout(firmware, placed(disks), groups)
