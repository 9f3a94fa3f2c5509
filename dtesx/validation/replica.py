"""Checks of what the job makes, by its plan, or of what it has made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from dtesx.base.errors import UsageError
from dtesx.model.job import Problem
from dtesx.model.layout import GIB
from dtesx.model.validation import Check, Finding
from dtesx.model.vmware import MissingPrivileges
from dtesx.validation.facts import PlanFacts, ReplicaFacts
from dtesx.validation.judging import Judge, error, known, warning

HEADROOM_BYTES = 5 * GIB
"""What a datastore with a replica should have free: snapshots and thin disks grow."""

_PLANNED = {
    Check.DATASTORES: "the datastores are there",
    Check.SPACE: "the datastores have room for the replica",
    Check.PORT_GROUPS: "the port groups are there",
    Check.ADDRESSES: "every card can have the addresses that the job gives it",
    Check.APPLIANCE_DISKS: "the appliance has room for the replica's disks",
    Check.DISK_UUIDS: "the appliance's VM shows the UUIDs of its disks",
    Check.EXISTING_DISKS: "the existing disks that the job names can be used",
    Check.ARCHITECTURE: "the source's processors are those of ESXi",
    Check.FIRMWARE: "the replica can start by the source's firmware",
    Check.VOLUMES: "every volume can be made on the replica",
    Check.VOLUME_SIZES: "the volumes have room for the source's files",
    Check.POWER: "the replica has the processors and memory of the source",
}
_ROLE_HINT = "give the account a role with these there; `dtesx vmware role create` makes one that has them"


def _planned(check: Check, facts: PlanFacts) -> Iterator[Finding]:
    for obstacle in facts.plan.obstacles:
        if obstacle.check is check:
            yield error(check, obstacle.message, obstacle.hint)
    for caution in facts.plan.warnings:
        if caution.check is check:
            yield warning(check, caution.message)


def unplanned(problem: Problem) -> Finding:
    """A job of which no plan can be made: by its file's mistake, or for what vSphere does not have."""
    check = Check.OPTIONS if problem.code == UsageError.code else Check.PLACE
    return error(check, problem.message, problem.hint)


def _clash(facts: PlanFacts) -> Iterator[Finding]:
    if facts.clash is not None:
        yield error(Check.REPLICA_NAME, facts.clash.message, facts.clash.hint)


def _lacks(facts: PlanFacts | ReplicaFacts) -> Iterator[Finding]:
    yield from _missing(facts.lacks)


def _missing(lacks: Iterable[MissingPrivileges]) -> Iterator[Finding]:
    for missing in lacks:
        names = ", ".join(missing.privileges)
        yield error(Check.PRIVILEGES, f"the account lacks on {missing.subject}: {names}", _ROLE_HINT)


def _there(facts: ReplicaFacts) -> Iterator[Finding]:
    if facts.problem is not None:
        yield error(Check.REPLICA, facts.problem.message, facts.problem.hint)


def _uuids(facts: ReplicaFacts) -> Iterator[Finding]:
    for obstacle in facts.obstacles:
        yield error(obstacle.check, obstacle.message, obstacle.hint)


def _headroom(facts: ReplicaFacts) -> Iterator[Finding]:
    for store in facts.datastores:
        if store.free_bytes < HEADROOM_BYTES:
            yield warning(
                Check.SPACE,
                f"the datastore {store.name} has {store.free_bytes / GIB:.1f} GiB free, less than 5 GiB",
                "free space there before the replica's disks or snapshots grow",
            )


_PRIVILEGES = Judge(Check.PRIVILEGES, "the account may do all that is needed", _lacks)

PLANNED: tuple[Judge[PlanFacts], ...] = (
    Judge(Check.OPTIONS, "the job's options fit the source", known),
    Judge(Check.PLACE, "the replica's place is there", known),
    Judge(Check.REPLICA_NAME, "the replica's name is free in vSphere", _clash),
    _PRIVILEGES,
    *(Judge(check, passed, partial(_planned, check)) for check, passed in _PLANNED.items()),
)

MADE: tuple[Judge[ReplicaFacts], ...] = (
    Judge(Check.REPLICA, "the replica's VM is there with its disks", _there),
    _PRIVILEGES,
    Judge(Check.DISK_UUIDS, _PLANNED[Check.DISK_UUIDS], _uuids),
    Judge(Check.SPACE, "the replica's datastores have space left", _headroom),
)
