"""Calls about a job's replication that its source answers."""

from __future__ import annotations

from collections.abc import Sequence

from dtesx.management.relay import Relay
from dtesx.management.web import Call, Rule
from dtesx.model.api import TaskInsertion
from dtesx.model.replication import ReplicationSample
from dtesx.model.tasks import TaskRequest


def rules(relay: Relay) -> tuple[Rule, ...]:
    """``/v1/jobs/NAME/tasks`` and ``/v1/jobs/NAME/history``."""

    def insert(call: Call) -> TaskInsertion:
        return relay.insert_task(call.path["name"], call.decoded(TaskRequest))

    def task(call: Call) -> TaskInsertion:
        return relay.task(call.path["name"], call.path["id"])

    def history(call: Call) -> Sequence[ReplicationSample]:
        return relay.history(call.path["name"], call.number("since"))

    return (
        Rule("POST", "/v1/jobs/{name}/tasks", insert),
        Rule("GET", "/v1/jobs/{name}/tasks/{id}", task),
        Rule("GET", "/v1/jobs/{name}/history", history),
    )
