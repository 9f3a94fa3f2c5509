"""The source service: tells what this server is made of, mirrors and replicates its files, when asked to."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.files import private_directory
from dtesx.base.log import get_logger
from dtesx.base.run import run as run_program
from dtesx.inventory.collect import collect
from dtesx.management.job_replications import JobReplications
from dtesx.management.mirrors import Mirrors
from dtesx.management.pairings import Pairings
from dtesx.management.process import alone, say_ready, stop_signals, wait_for_stop
from dtesx.management.replications import forget
from dtesx.management.server import serving
from dtesx.management.source_api import rules
from dtesx.management.web import application
from dtesx.model.hooks import Hooks
from dtesx.replication.sending import run_mirror
from dtesx.services.replication import run_replication
from dtesx.volumes.freezing import thaw_left
from dtesx.wire.identity import load_or_create
from dtesx.wire.tls import server_context

log = get_logger(__name__)


def run(address: str, port: int, state: Path, hooks: Mapping[str, Hooks]) -> None:
    """Serve until SIGTERM or SIGINT; prints one line when ready. Jobs may have ``hooks`` run.

    Makes identity and one-time pairing token in ``state`` at first start. Raises Conflict when the
    port or the state directory is in use.
    """
    thaw_left()  # first of all: what is written to that never ends
    private_directory(state)
    with alone(state), stop_signals() as stop:
        hostname = socket.gethostname()
        identity = load_or_create(state, f"dtesx source {hostname}")
        mirrors = Mirrors(identity, partial(run_mirror, catalogue=state / "catalogues"))
        replicate = partial(run_replication, state=state, hooks=hooks)
        replications = JobReplications(identity, replicate, partial(forget, state))
        pairings = Pairings(state, identity, hostname)
        app = application(
            rules(pairings, mirrors, replications, inventory=collect, power_off=power_off, state=state),
            authorised=pairings.authorised,
        )
        with serving(app, address, port, server_context(identity)) as bound:
            say_ready("source", address, bound)
            log.info("certificate", sha256=identity.fingerprint)
            wait_for_stop(stop)
        mirrors.close()
        replications.close()
    log.info("source service ended")


def power_off() -> None:
    """Shut this machine down; CommandFailed when that is not to be had.

    systemd is asked first, so that services end in order. Where it does not run as the first
    process, poweroff(8) is told to sync and have the kernel do it.
    """
    try:
        run_program(["systemctl", "poweroff"], timeout=30)
    except CommandFailed:
        hint = "shut the server down by hand, then fail over again"
        run_program(["poweroff", "--force"], timeout=60, hint=hint)
