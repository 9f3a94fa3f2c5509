"""Which disks, partitions and volume groups a replica gets."""

from __future__ import annotations

from dtesx.model.inventory import Inventory
from dtesx.model.layout import Layout
from dtesx.model.replica import DiskStrategy, ReplicaSpec
from dtesx.planning import match_source, per_volume
from dtesx.planning.drafts import placed
from dtesx.planning.workload import Workload


def plan_layout(inventory: Inventory, workload: Workload, replica: ReplicaSpec) -> Layout:
    """The replica's disks, the one that starts it first; everything is aligned to 1 MiB.

    Volumes are at least as large as on the source unless the job says otherwise. Raises UsageError for
    options that do not fit the source.
    """
    firmware = replica.firmware or inventory.firmware
    if replica.storage.strategy is DiskStrategy.PER_VOLUME:
        disks = per_volume.drafts(workload, replica, firmware)
        groups = per_volume.groups(workload, replica)
    else:
        disks = match_source.drafts(inventory, workload, replica, firmware)
        groups = match_source.groups(workload)
    return Layout(firmware, placed(disks), groups)
