"""``dtesx service appliance``."""

from __future__ import annotations

from pathlib import Path

from dtesx.base import log
from dtesx.cli import tasks_file
from dtesx.cli.params import ListenAddress, ListenPort, State, TasksFile
from dtesx.model.api import API_PORT


def run_appliance(
    address: ListenAddress = "0.0.0.0",
    port: ListenPort = API_PORT,
    state: State = Path("/var/lib/dtesx/appliance"),
    tasks: TasksFile = None,
) -> None:
    """Run the management service, on an appliance.

    It keeps jobs and recovery points, fails over, and serves the HTTPS API.

    The token for dtesx login is in the file admin-token of the state directory.
    """
    from dtesx.services import appliance

    known = tasks_file.load(tasks) if tasks is not None else {}
    log.configure()
    appliance.run(address, port, state, known)
