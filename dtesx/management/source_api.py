"""The source service's API; docs/api.md describes it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dtesx import __version__
from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.management import replications as kept
from dtesx.management.insertions import Insertions
from dtesx.management.job_replications import JobReplications
from dtesx.management.mirrors import Mirrors
from dtesx.management.pairings import Pairings
from dtesx.management.web import Call, Rule
from dtesx.model.api import (
    MirrorStatus,
    NewBandwidth,
    PairReply,
    PairRequest,
    Reach,
    Reached,
    ServiceStatus,
    SourceReplication,
    TaskInsertion,
)
from dtesx.model.inventory import Inventory
from dtesx.model.replication import ReplicationSample
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.tasks import TaskRequest

log = get_logger(__name__)

_REACH_SECONDS = 5.0


def rules(
    pairings: Pairings,
    mirrors: Mirrors,
    replications: JobReplications,
    *,
    inventory: Callable[[], Inventory],
    power_off: Callable[[], None],
    state: Path,
) -> tuple[Rule, ...]:
    """All calls of the source API; all but pairing need the bearer that pairing gave.

    ``state`` is the service's state directory, in which replications can be asked.
    """

    def pair(call: Call) -> PairReply:
        return pairings.pair(call.decoded(PairRequest))

    def status(_call: Call) -> ServiceStatus:
        hostname = socket.gethostname()
        return ServiceStatus("source", __version__, hostname, paired=pairings.paired, time=time.time())

    def reach(call: Call) -> Reached:
        return _reached(call.decoded(Reach))

    def take_inventory(_call: Call) -> Inventory:
        return inventory()

    def shut_down(_call: Call) -> None:
        log.warning("shutting this server down, as its appliance asked")
        power_off()

    return (
        Rule("POST", "/v1/pair", pair, public=True),
        Rule("GET", "/v1/status", status),
        Rule("POST", "/v1/reach", reach),
        Rule("GET", "/v1/inventory", take_inventory),
        *_mirror_rules(mirrors, replications),
        *_replication_rules(replications, mirrors),
        *_replicating_rules(state),
        Rule("POST", "/v1/shutdown", shut_down),
    )


def _reached(asked: Reach) -> Reached:
    try:
        socket.create_connection((asked.address, asked.port), _REACH_SECONDS).close()
    except OSError as error:
        return Reached(error.strerror or str(error))
    return Reached()


def _mirror_rules(mirrors: Mirrors, replications: JobReplications) -> tuple[Rule, ...]:
    def start_mirror(call: Call) -> MirrorStatus:
        request = call.decoded(MirrorRequest)
        replications.stop(request.job)  # a target lets one stream in
        return mirrors.start(request)

    def show_mirror(call: Call) -> MirrorStatus:
        return mirrors.status(call.path["job"])

    def stop_mirror(call: Call) -> None:
        mirrors.stop(call.path["job"])

    def pause_mirror(call: Call) -> None:
        mirrors.pause(call.path["job"])

    def resume_mirror(call: Call) -> None:
        mirrors.resume(call.path["job"])

    def limit_mirror(call: Call) -> None:
        mirrors.limit(call.path["job"], call.decoded(NewBandwidth).bandwidth)

    return (
        Rule("POST", "/v1/mirrors", start_mirror),
        Rule("GET", "/v1/mirrors/{job}", show_mirror),
        Rule("DELETE", "/v1/mirrors/{job}", stop_mirror),
        Rule("POST", "/v1/mirrors/{job}/pause", pause_mirror),
        Rule("POST", "/v1/mirrors/{job}/resume", resume_mirror),
        Rule("POST", "/v1/mirrors/{job}/bandwidth", limit_mirror),
    )


def _replication_rules(replications: JobReplications, mirrors: Mirrors) -> tuple[Rule, ...]:
    def start(call: Call) -> SourceReplication:
        request = call.decoded(ReplicationRequest)
        if mirrors.under_way(request.job):
            raise Conflict(
                f"job {request.job} is being mirrored", hint="it replicates when the mirror has ended"
            )
        return replications.start(request)

    def show(call: Call) -> SourceReplication:
        return replications.status(call.path["job"])

    def stop(call: Call) -> None:
        replications.stop(call.path["job"])

    def forget(call: Call) -> None:
        replications.forget(call.path["job"])

    return (
        Rule("POST", "/v1/replications", start),
        Rule("GET", "/v1/replications/{job}", show),
        Rule("DELETE", "/v1/replications/{job}", stop),
        Rule("DELETE", "/v1/replications/{job}/history", forget),
    )


def _replicating_rules(state: Path) -> tuple[Rule, ...]:
    insertions = Insertions(state)

    def history(call: Call) -> Sequence[ReplicationSample]:
        return kept.samples(kept.find(state, call.path["job"]), call.number("since"))

    def insert(call: Call) -> TaskInsertion:
        return insertions.insert(call.path["job"], call.decoded(TaskRequest))

    def task(call: Call) -> TaskInsertion:
        return insertions.look(call.path["job"], call.path["id"])

    return (
        Rule("GET", "/v1/replications/{job}/history", history),
        Rule("POST", "/v1/replications/{job}/tasks", insert),
        Rule("GET", "/v1/replications/{job}/tasks/{id}", task),
    )
