"""What the service says of itself."""

from __future__ import annotations

import socket

from dtesx import __version__
from dtesx.management.jobs import Jobs
from dtesx.management.web import Call, Rule
from dtesx.model.api import ServiceStatus


def rules(jobs: Jobs) -> tuple[Rule, ...]:
    """``/v1/status``."""

    def show(_call: Call) -> ServiceStatus:
        return ServiceStatus("appliance", __version__, socket.gethostname(), jobs=jobs.states())

    return (Rule("GET", "/v1/status", show),)
