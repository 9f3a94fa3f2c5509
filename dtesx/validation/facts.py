"""What a validation judges: what the source, vSphere and the appliance said. Nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.inventory import Inventory
from dtesx.model.job import Problem
from dtesx.model.plan import JobPlan, Obstacle
from dtesx.model.validation import Finding
from dtesx.model.vmware import About, Datastore, MissingPrivileges


@dataclass(frozen=True)
class ApplianceFacts:
    """The appliance itself: what its other jobs have, and the programs that it lacks.

    ``claims`` are sentences about jobs that have this job's or its replica's name. ``packages`` have the
    missing programs; ``installable`` tells whether they can be installed there by dtesx. ``missing_tasks``
    are those that the job has run and the appliance does not have. ``own_group`` is the volume group that
    it is on itself, where the source has one of that name, else "".
    """

    claims: tuple[str, ...] = ()
    missing_programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    installable: bool = False
    missing_tasks: tuple[str, ...] = ()
    own_group: str = ""


@dataclass(frozen=True)
class SourceFacts:
    """A source that answers. ``ahead`` is how many seconds its clock is ahead of the appliance's.

    ``own_version`` is the appliance's. ``address`` is where the source was asked to connect to,
    ``unreachable`` why it could not, "" when it could. ``planned_from`` is the inventory that a replica was
    made from, None when there is no replica.
    """

    version: str
    own_version: str
    ahead: float
    address: str
    unreachable: str
    inventory: Inventory
    planned_from: Inventory | None = None


@dataclass(frozen=True)
class VsphereFacts:
    """A VMware server that let us in. ``read_only``: its licence lets nothing be changed."""

    about: About
    read_only: bool


@dataclass(frozen=True)
class PlanFacts:
    """A plan, with who else has the replica's name and what the account lacks on the plan's objects."""

    plan: JobPlan
    clash: Problem | None
    lacks: tuple[MissingPrivileges, ...]


@dataclass(frozen=True)
class ReplicaFacts:
    """A replica that exists: what is wrong with its VM, what the account lacks, its datastores now.

    ``obstacles`` keep the appliance from finding its disks. ``health`` is what its tree says about its
    start, as far as it is mounted.
    """

    problem: Problem | None
    lacks: tuple[MissingPrivileges, ...]
    datastores: tuple[Datastore, ...]
    obstacles: tuple[Obstacle, ...] = ()
    health: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All that is known about a job; what could not be learned is the problem that stood in the way.

    ``plan`` is None where there was no source or no vSphere to make one with.
    """

    appliance: ApplianceFacts
    source: SourceFacts | Problem
    vsphere: VsphereFacts | Problem
    plan: PlanFacts | ReplicaFacts | Problem | None
