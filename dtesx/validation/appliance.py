"""Checks of the appliance itself."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.model.validation import Check, Finding
from dtesx.validation.facts import ApplianceFacts
from dtesx.validation.judging import Judge, error, warning


def _names(facts: ApplianceFacts) -> Iterator[Finding]:
    for sentence in facts.claims:
        yield error(Check.JOB_NAME, sentence, "choose another name in the job file")


def _tools(facts: ApplianceFacts) -> Iterator[Finding]:
    if facts.missing_programs:
        yield error(
            Check.TOOLS,
            f"the appliance lacks programs that the replica needs: {', '.join(facts.missing_programs)}",
            f"install there: {', '.join(facts.packages)}",
            "installs them from the archives that the appliance uses" if facts.installable else "",
        )


def _tasks(facts: ApplianceFacts) -> Iterator[Finding]:
    for name in facts.missing_tasks:
        yield error(
            Check.TASKS,
            f"the appliance has no task {name}, which the job wants to be run at a failover",
            "name it in the file of dtesx service appliance --tasks, or correct failover.before in the job",
        )


def _groups(facts: ApplianceFacts) -> Iterator[Finding]:
    if facts.own_group:
        yield warning(
            Check.GROUP_NAMES,
            f"the appliance itself is on a volume group {facts.own_group}, and so is the source: "
            "the appliance may not start with the replica's disks attached",
            f"rename the appliance's group (vgrename {facts.own_group} appliance), and in its boot loader",
        )


JUDGES = (
    Judge(Check.JOB_NAME, "no other job has the name of this one or of its replica", _names),
    Judge(Check.TOOLS, "the appliance has the programs that the replica needs", _tools),
    Judge(Check.TASKS, "the appliance has the tasks that the job names", _tasks),
    Judge(Check.GROUP_NAMES, "the appliance's own volume group has no name that the source has", _groups),
)
