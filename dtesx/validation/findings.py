"""All checks together."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.model.job import Problem
from dtesx.model.validation import Check, Finding, worst_first
from dtesx.validation import appliance, replica, source, vsphere
from dtesx.validation.facts import Facts, ReplicaFacts
from dtesx.validation.judging import error, judged


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, errors first, otherwise in the order of the checks."""
    found = (*judged(appliance.JUDGES, facts.appliance), *_source(facts), *_vsphere(facts), *_replica(facts))
    return worst_first(found)


def _source(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.source, Problem):
        yield error(Check.SOURCE, facts.source.message, facts.source.hint)
    else:
        yield from judged(source.JUDGES, facts.source)


def _vsphere(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.vsphere, Problem):
        yield vsphere.away(facts.vsphere)
    else:
        yield from judged(vsphere.JUDGES, facts.vsphere)


def _replica(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.plan, Problem):
        yield replica.unplanned(facts.plan)
    elif isinstance(facts.plan, ReplicaFacts):
        yield from judged(replica.MADE, facts.plan)
        yield from facts.plan.health
    elif facts.plan is not None:
        yield from judged(replica.PLANNED, facts.plan)
