"""PostgreSQL's data directory: at rest, and while it is written to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from tests.integration.replication.conftest import Site

from .conftest import prove

pytestmark = pytest.mark.integration

USER = "postgres"


def programs() -> Path:
    """Where the newest PostgreSQL's programs are."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server with its data in ``data`` and its socket in ``socket``."""

    programs: Path
    data: Path
    socket: Path

    def command(self, program: str, *arguments: object) -> list[str]:
        where = str(self.programs / program)
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", where, *map(str, arguments)]

    @contextmanager
    def running(self, settings: str = "") -> Iterator[None]:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.socket} {settings}"
        log = self.socket / "log"
        run(self.command("pg_ctl", "-D", self.data, "-s", "-w", "-l", log, "-o", options, "start"))
        try:
            yield
        finally:
            run(self.command("pg_ctl", "-D", self.data, "-s", "-w", "-m", "fast", "stop"))

    def ask(self, query: str) -> str:
        return run(self.command("psql", "-h", self.socket, "-AtX", "-c", query, USER)).text


@pytest.fixture
def server(real: Site) -> Iterator[Server]:
    """A new cluster with some tables; ``real`` mirrors its data directory."""
    # The server does not run as root, so its directory must not lie below pytest's.
    with tempfile.TemporaryDirectory(prefix="dtesx-test-") as place:
        shutil.chown(place, USER, USER)
        real.source = Path(place) / "data"
        server = Server(programs(), real.source, real.source.parent)
        run(server.command("initdb", "-D", server.data, "-A", "trust", "--data-checksums", "--no-sync"))
        with server.running():
            run(server.command("pgbench", "-h", place, "-i", "-q", "-s", 3, USER))
        yield server


def moved(server: Server, site: Site) -> Server:
    """The replica's data directory where its server can reach it."""
    place = server.data.parent / "replica"
    place.mkdir()
    shutil.chown(place, USER, USER)
    shutil.move(site.target, place / "data")
    return Server(server.programs, place / "data", place)


def test_at_rest_and_under_load(real: Site, server: Server) -> None:
    prove(real)
    with server.running():
        load = spawn(server.command("pgbench", "-h", server.socket, "-T", 60, "-c", 4, "-n", USER))
        try:
            for _ in range(3):
                assert real.mirror().problems == ()
        finally:
            load.terminate()
            load.wait(30)
        written = server.ask("select count(*), sum(delta) from pgbench_history")
    assert int(written.split("|")[0]) > 0
    prove(real)
    replica = moved(server, real)
    run(replica.command("pg_checksums", "--check", "-D", replica.data))
    with replica.running():
        assert replica.ask("select count(*), sum(delta) from pgbench_history") == written
