"""Calls that change what is under way: a job's mirror, and its target."""

from __future__ import annotations

from dtesx.management.steering import Steering
from dtesx.management.web import Call, Rule
from dtesx.model.api import NewBandwidth
from dtesx.model.target import Paused


def rules(steering: Steering) -> tuple[Rule, ...]:
    """``/v1/jobs/NAME/mirror/...``, ``/v1/jobs/NAME/target/...`` and ``/v1/jobs/NAME/bandwidth``."""

    def pause(call: Call) -> None:
        steering.pause(call.path["name"])

    def resume(call: Call) -> None:
        steering.resume(call.path["name"])

    def stop(call: Call) -> None:
        steering.stop(call.path["name"])

    def pause_target(call: Call) -> Paused:
        return steering.pause_target(call.path["name"])

    def resume_target(call: Call) -> Paused:
        return steering.resume_target(call.path["name"])

    def limit(call: Call) -> None:
        steering.limit(call.path["name"], call.decoded(NewBandwidth).bandwidth)

    return (
        Rule("POST", "/v1/jobs/{name}/mirror/pause", pause),
        Rule("POST", "/v1/jobs/{name}/mirror/resume", resume),
        Rule("POST", "/v1/jobs/{name}/mirror/stop", stop),
        Rule("POST", "/v1/jobs/{name}/bandwidth", limit),
        Rule("POST", "/v1/jobs/{name}/target/pause", pause_target),
        Rule("POST", "/v1/jobs/{name}/target/resume", resume_target),
    )
