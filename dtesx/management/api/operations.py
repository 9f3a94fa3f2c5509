"""Calls about operations."""

from __future__ import annotations

from dtesx.management.store import Store
from dtesx.management.web import Call, Rule
from dtesx.model.job import Operation


def rules(store: Store) -> tuple[Rule, ...]:
    """``/v1/operations``."""

    def show(call: Call) -> Operation:
        return store.operation(call.path["id"])

    return (Rule("GET", "/v1/operations/{id}", show),)
