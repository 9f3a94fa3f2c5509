"""Calls about validations."""

from __future__ import annotations

from dtesx.management.validations import Validations
from dtesx.management.web import Call, Rule
from dtesx.model.api import ValidationRequest
from dtesx.model.validation import Repairs, Validation


def rules(validations: Validations) -> tuple[Rule, ...]:
    """``/v1/validations``, and the validation of a job."""

    def make(call: Call) -> Validation:
        request = call.decoded(ValidationRequest)
        return validations.make(request.spec, request.repairs)

    def make_of(call: Call) -> Validation:
        return validations.of(call.path["name"], call.decoded(Repairs))

    def show(call: Call) -> Validation:
        return validations.last(call.path["name"])

    return (
        Rule("POST", "/v1/validations", make),
        Rule("POST", "/v1/jobs/{name}/validation", make_of),
        Rule("GET", "/v1/jobs/{name}/validation", show),
    )
