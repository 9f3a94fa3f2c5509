"""A job's whole plan."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.model.inventory import Inventory
from dtesx.model.job import JobSpec
from dtesx.model.layout import Layout
from dtesx.model.plan import JobPlan, LeftOut
from dtesx.model.specs import OWN_STATE
from dtesx.model.storage import EXPLANATIONS
from dtesx.model.vmware import Offer
from dtesx.planning import deviations, obstacles, space
from dtesx.planning.disks import plan_layout
from dtesx.planning.machine import replica_plan
from dtesx.planning.networks import map_nics
from dtesx.planning.workload import Workload, select


def plan_job(
    spec: JobSpec, inventory: Inventory, offer: Offer, *, owner: str = "", kept: Layout | None = None
) -> JobPlan:
    """What the job will make of that source with what vSphere has.

    ``kept`` are the disks of a replica that exists: it needs no more space, and nothing stands against it.

    Raises UsageError for what no plan can be made of, and for options that do not fit the source;
    everything else that stands against it is told in the plan.
    """
    workload = select(inventory, spec.workload)
    layout = kept or plan_layout(inventory, workload, spec.replica, offer.stored)
    replica = replica_plan(spec, inventory, layout, owner)
    uses = () if kept else space.datastore_uses(replica, workload, offer)
    nics = map_nics(inventory, spec.replica, offer)
    return JobPlan(
        job=spec.name,
        replica=replica,
        layout=layout,
        datastores=uses,
        nics=nics,
        left_out=tuple(_left_out(inventory, workload)),
        excluded=(OWN_STATE, *spec.mirror.exclude),
        deviations=tuple(deviations.deviations(inventory, workload, layout, replica, nics)),
        warnings=(*deviations.warnings(inventory, workload, layout, replica), *space.warnings(uses)),
        obstacles=() if kept else obstacles.obstacles(spec, inventory, workload, replica, uses, offer),
    )


def _left_out(inventory: Inventory, workload: Workload) -> Iterator[LeftOut]:
    yield from workload.left_out
    for mount in inventory.unprotected:
        yield LeftOut(mount.mount_point, EXPLANATIONS[mount.reason])
