"""The management API: its calls, by subject; docs/api.md describes them."""

from __future__ import annotations

from dtesx.management.api import (
    jobs,
    operations,
    plans,
    replications,
    servers,
    status,
    steering,
    validations,
    vmware,
)
from dtesx.management.jobs import Jobs
from dtesx.management.plans import Plans
from dtesx.management.relay import Relay
from dtesx.management.servers import Servers
from dtesx.management.steering import Steering
from dtesx.management.store import Store
from dtesx.management.validations import Validations
from dtesx.management.vmware import Vmware
from dtesx.management.web import Rule


def rules(
    store: Store,
    known_servers: Servers,
    known_vmware: Vmware,
    all_jobs: Jobs,
    all_plans: Plans,
    all_validations: Validations,
    all_steering: Steering,
    relay: Relay,
) -> tuple[Rule, ...]:
    """All calls of the management API."""
    return (
        *status.rules(all_jobs),
        *servers.rules(known_servers),
        *vmware.rules(known_vmware),
        *jobs.rules(all_jobs),
        *plans.rules(all_plans),
        *validations.rules(all_validations),
        *steering.rules(all_steering),
        *replications.rules(relay),
        *operations.rules(store),
    )
