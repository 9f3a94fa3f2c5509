"""A job as it is persisted: everything a restarted service needs to go on with it."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.inventory import Inventory
from dtesx.model.job import JobSpec, JobState
from dtesx.model.layout import Layout
from dtesx.model.stats import MirrorStats
from dtesx.model.validation import Health
from dtesx.model.vmware import VirtualDisk


@dataclass(frozen=True)
class JobRecord:
    """One job. ``disks`` are the replica's, in the order of ``layout.disks``.

    ``replica_ref`` is the managed object id of the replica VM ("" before it exists), ``data_port``
    the port of the job's target worker (0 before it has one), ``address`` the replica's address
    after failover, ``health`` what the last look at the replica's tree found. ``lent`` are disks that the
    appliance's VM holds, or is about to, only to look at them. Times are Unix seconds; ``snapshot_at`` is
    that of the last VMware snapshot.
    """

    id: str
    spec: JobSpec
    state: JobState
    created: float
    inventory: Inventory | None = None
    layout: Layout | None = None
    replica_ref: str = ""
    disks: tuple[VirtualDisk, ...] = ()
    mirror: MirrorStats | None = None
    mirrored_at: float = 0.0
    snapshot_at: float = 0.0
    health: Health | None = None
    data_port: int = 0
    address: str = ""
    lent: tuple[VirtualDisk, ...] = ()
