"""Databases under load: at every epoch of one moment the replica is one that they start from."""

from __future__ import annotations

import queue
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from tests.integration.replication.conftest import Site
from tests.integration.replication.real.test_postgresql import USER, Server, programs

from .conftest import BRIEFLY
from .watching import replicating, report, writing

pytestmark = pytest.mark.integration

_WAITING = 4
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


class Copies:
    """Copies of a replica at its epochs of one moment, each looked at by ``check`` and forgotten."""

    def __init__(self, place: Path, check: Callable[[Path], object]) -> None:
        self._place = place
        self._check = check
        self._made: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._checked = 0
        place.mkdir()

    def keep(self, replica: Path) -> None:
        """Keep a copy to look at later, if there are not too many already."""
        if self._made.qsize() < _WAITING:
            copy = self._place / uuid.uuid4().hex
            run(["cp", "-a", str(replica), str(copy)])
            self._made.put(copy)

    def look(self) -> int:
        """Look at the next one if there is one; returns how many have been looked at."""
        with suppress(queue.Empty):
            copy = self._made.get_nowait()
            self._check(copy)
            shutil.rmtree(copy)
            self._checked += 1
        return self._checked


def _ledger(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        found = database.execute("select count(*), sum(balance) from accounts").fetchone()
        assert found == (2000, 2_000_000)


def _ledgers(copy: Path) -> None:
    _ledger(copy / "wal")
    _ledger(copy / "delete")


def test_sqlite(mounted: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copies = Copies(tmp_path / "copies", _ledgers)
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_SQLITE, mounted.source, "ready-wal", "ready-delete"))
        watched = stack.enter_context(replicating(mounted, monkeypatch, copies.keep))
        watched.for_a_while(copies.look)
    report(watched, copies.look())


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


@BRIEFLY
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
        server, counts = Server(programs(), here / "data", place), list[int]()
        aside = place / "aside"
        aside.mkdir()
        shutil.chown(aside, USER, USER)
        copies = Copies(
            place / "copies",
            lambda copy: counts.append(_starts(Server(server.programs, copy / "data", aside))),
        )
        run(server.command("initdb", "-D", server.data, "-A", "trust", "--data-checksums", "--no-sync"))
        stack.enter_context(server.running("-c max_wal_size=64MB -c checkpoint_timeout=30s"))
        run(server.command("pgbench", "-h", place, "-i", "-q", "-s", 1, USER))
        stack.enter_context(_load(server))
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(replicating(mounted, monkeypatch, copies.keep))
        watched.for_a_while(copies.look)
        report(watched, copies.look())
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
