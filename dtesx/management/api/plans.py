"""Calls about plans."""

from __future__ import annotations

from dtesx.management.plans import Plans
from dtesx.management.web import Call, Rule
from dtesx.model.job import JobSpec
from dtesx.model.plan import JobPlan


def rules(plans: Plans) -> tuple[Rule, ...]:
    """``/v1/plans``, and the plan of a job."""

    def make(call: Call) -> JobPlan:
        return plans.make(call.decoded(JobSpec))

    def show(call: Call) -> JobPlan:
        return plans.of(call.path["name"])

    return (
        Rule("POST", "/v1/plans", make),
        Rule("GET", "/v1/jobs/{name}/plan", show),
    )
