"""A PostgreSQL server of its own, from its start to its end, as one program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_USER = "postgres"
_SCALE = 10
_CLIENTS = 4
# Nothing that goes on by itself, so that every run does the same.
_SETTINGS = ("autovacuum=off", "checkpoint_timeout=1h", "max_wal_size=4GB", "listen_addresses=")
_COMMAND = """
data=$1 each=$2 programs=$3; shift 3
"$programs/postgres" -D "$data" -k "$data" "$@" & server=$!
until "$programs/pg_isready" -q -h "$data"; do sleep 0.05; done
"$programs/pgbench" -h "$data" -n -c {clients} -t "$each" postgres >&2
kill -INT $server; wait $server
"""


def prepare(where: Path) -> None:
    """A cluster with the tables of pgbench in a new directory."""
    where.mkdir()
    shutil.chown(where, _USER, _USER)
    data = str(where / "data")
    _run("initdb", "-D", data, "-A", "trust", "--no-sync")
    control = ("pg_ctl", "-D", data, "-s", "-w")
    _run(*control, "-l", str(where / "log"), "-o", f"-k {data} -c listen_addresses=", "start")
    _run("pgbench", "-h", data, "-i", "-q", "-s", f"{_SCALE}", "postgres")
    _run(*control, "-m", "fast", "stop")


def command(where: Path, transactions: int) -> Sequence[str]:
    """Starts the server, has pgbench make so many transactions, and ends it with a checkpoint."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    arguments = (str(where / "data"), f"{transactions // _CLIENTS}", str(_programs()), *settings)
    return [*_as_user(), "sh", "-c", _COMMAND.format(clients=_CLIENTS), "pgbench", *arguments]


def _run(program: str, *arguments: str) -> None:
    argv = [*_as_user(), str(_programs() / program), *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _as_user() -> list[str]:
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"]


def _programs() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
