"""Databases under load: at every epoch of one moment the replica is one that they start from."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from tests.integration.replication.conftest import Site
from tests.integration.replication.real.test_postgresql import USER, Server, programs

from .watching import replicating, report, writing

pytestmark = pytest.mark.integration

_SQLITE = """
import os, random, sqlite3, sys, threading
def work(mode):
    db = sqlite3.connect(os.path.join(sys.argv[1], mode), isolation_level=None, timeout=60)
    db.execute(f"pragma journal_mode={mode}")
    db.execute("create table accounts (id integer primary key, balance, filler)")
    db.execute("create index balances on accounts (balance)")
    db.execute("begin")
    for number in range(2000):
        db.execute("insert into accounts values (?, 1000, ?)", (number, "x" * 500))
    db.execute("commit")
    open(os.path.join(sys.argv[1], "ready-" + mode), "w").close()
    while True:
        db.execute("begin")
        for _ in range(random.randrange(1, 20)):
            one, other, amount = random.randrange(2000), random.randrange(2000), random.randrange(100)
            db.execute("update accounts set balance = balance - ? where id = ?", (amount, one))
            db.execute("update accounts set balance = balance + ? where id = ?", (amount, other))
        db.execute("commit")
for mode in ("wal", "delete"):
    threading.Thread(target=work, args=(mode,)).start()
"""


def copied(replica: Path, copies: Path) -> None:
    """Keep a copy of the replica to look at later."""
    copies.mkdir(exist_ok=True)
    run(["cp", "-a", str(replica), str(copies / f"{len(list(copies.iterdir())):04}")])


def _ledger(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        found = database.execute("select count(*), sum(balance) from accounts").fetchone()
        assert found == (2000, 2_000_000)


def test_sqlite(mounted: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_SQLITE, mounted.source, "ready-wal", "ready-delete"))
        watched = stack.enter_context(
            replicating(mounted, monkeypatch, lambda replica: copied(replica, copies))
        )
        watched.for_a_while()
    for copy in sorted(copies.iterdir()):
        _ledger(copy / "wal")
        _ledger(copy / "delete")
    report(watched, len(list(copies.iterdir())))


@contextmanager
def _load(server: Server) -> Iterator[None]:
    load = spawn(server.command("pgbench", "-h", server.socket, "-T", 3600, "-c", 4, "-n", USER))
    try:
        yield
        assert load.poll() is None
    finally:
        load.terminate()
        load.wait(30)


_SUMS = """
select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),
       (select sum(tbalance) from pgbench_tellers), (select coalesce(sum(delta), 0) from pgbench_history)
"""


def _starts(server: Server) -> int:
    """Start a server on a copy, and check that it is sound; returns how many transactions it has."""
    # On another machine the first server's number is nobody's; here it may be.
    (server.data / "postmaster.pid").unlink()
    with server.running():
        assert len(set(server.ask(_SUMS).strip().split("|"))) == 1
        server.ask("create extension if not exists amcheck")
        arguments = ["-h", server.socket, "--heapallindexed", "--no-dependent-toast", USER]
        run(server.command("pg_amcheck", *arguments))
        return int(server.ask("select count(*) from pgbench_history"))


def test_postgresql(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        # The server does not run as root, so its directories must not lie below pytest's.
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtesx-test-")))
        shutil.chown(place, USER, USER)
        here = place / "here"
        here.mkdir()
        run(["mount", "--bind", str(mounted.source), str(here)])
        stack.callback(run, ["umount", str(here)])
        shutil.chown(here, USER, USER)
        server = Server(programs(), here / "data", place)
        run(server.command("initdb", "-D", server.data, "-A", "trust", "--data-checksums", "--no-sync"))
        copies = place / "copies"
        with ExitStack() as running:
            running.enter_context(server.running("-c max_wal_size=64MB -c checkpoint_timeout=30s"))
            run(server.command("pgbench", "-h", place, "-i", "-q", "-s", 3, USER))
            running.enter_context(_load(server))
            running.enter_context(mounted.receiver())
            watched = running.enter_context(
                replicating(mounted, monkeypatch, lambda replica: copied(replica, copies))
            )
            watched.for_a_while()
        counts = []
        for copy in sorted(copies.iterdir()):
            counts.append(_starts(Server(server.programs, copy / "data", place)))
            shutil.rmtree(copy)
        assert counts == sorted(counts)
        assert counts[-1] > counts[0]
        report(watched, len(counts))
