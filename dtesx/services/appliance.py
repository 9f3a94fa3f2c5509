"""The appliance's management service: store, jobs and HTTPS API in one process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.management import api
from dtesx.management.jobs import Jobs
from dtesx.management.plans import Plans
from dtesx.management.process import alone, say_ready, stop_signals, wait_for_stop
from dtesx.management.relay import Relay
from dtesx.management.replica_watch import ReplicaWatch
from dtesx.management.server import serving
from dtesx.management.servers import Servers
from dtesx.management.site import ApplianceSite
from dtesx.management.snapshot_timer import SnapshotTimer
from dtesx.management.steering import Steering
from dtesx.management.store import Store
from dtesx.management.tending import Tending
from dtesx.management.validations import Validations
from dtesx.management.vmware import Vmware
from dtesx.management.web import application
from dtesx.management.workers import LocalWorkers
from dtesx.model.tasks import Task
from dtesx.recovery import operations
from dtesx.volumes.mounts import release_disks
from dtesx.wire import pairing
from dtesx.wire.identity import load_or_create
from dtesx.wire.tls import server_context

log = get_logger(__name__)

_END_SECONDS = 30.0


def run(address: str, port: int, state: Path, tasks: Mapping[str, Task]) -> None:
    """Serve until SIGTERM or SIGINT; prints one line when ready. Jobs may have ``tasks`` run.

    Makes identity, store and admin token in ``state`` at first start; later starts go on with what
    is there. Running operations are interrupted at the end and can be resumed. Raises Conflict when
    the port or the state directory is in use.
    """
    private_directory(state)
    with alone(state), stop_signals() as stop:
        identity = load_or_create(state, f"dtesx appliance {socket.gethostname()}")
        token = admin_token(state)
        store = Store(state)
        cancel = threading.Event()
        directory = private_directory(state / "jobs")
        workers = LocalWorkers(directory, release=release_disks, cancel=cancel)
        vmware = Vmware(store)
        site = ApplianceSite(store, vmware, workers, identity.certificate, directory, state, tasks)
        tending = Tending(store, workers, site, cancel)
        watch = ReplicaWatch(store, vmware, cancel)
        jobs = Jobs(store, operations, workers, site, tending, watch, cancel)
        jobs.recover()
        timer = SnapshotTimer(store, jobs, cancel)
        servers, steering = Servers(store, identity.certificate), Steering(store, workers, site, cancel)
        plans, relay = Plans(store, site, cancel), Relay(store)
        validations = Validations(store, site, vmware, directory, cancel)
        rules = api.rules(store, servers, vmware, jobs, plans, validations, steering, relay)
        app = application(rules, authorised=lambda bearer: pairing.matches(bearer, token))
        with serving(app, address, port, server_context(identity)) as bound:
            say_ready("appliance", address, bound)
            log.info("certificate", sha256=identity.fingerprint)
            tending.start()
            watch.start()
            timer.start()
            wait_for_stop(stop)
        if not jobs.close(_END_SECONDS):
            log.warning("an operation did not stop in time; the next start marks it interrupted")
        tending.close()
        watch.close()
        timer.close()
        workers.close()
        store.close()
    log.info("appliance service ended")


def admin_token(state: Path) -> str:
    """The bearer token of the management API, made at first start (mode 0600)."""
    path = state / "admin-token"
    if not path.exists():
        write_atomic(path, f"{pairing.new_token()}\n".encode())
    return path.read_text().strip()
