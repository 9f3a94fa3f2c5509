"""Databases that are written to all the time, and what shows that a copy of one is sound.

Each is a context: it makes a database in a directory and has it written to until it is left, and gives what
looks at a copy of that directory. That raises AssertionError or CommandFailed, or returns how many
transactions the copy has.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.run import run, spawn
from tests.integration.replication.real.test_postgresql import USER, Server, programs

from .watching import writing

Look = Callable[[Path], int]

_SQLITE = """
import os, random, sqlite3, sys, threading
def work(mode):
    db = sqlite3.connect(os.path.join(sys.argv[1], mode), isolation_level=None, timeout=60)
    db.execute(f"pragma journal_mode={mode}")
    db.execute("create table accounts (id integer primary key, balance, filler)")
    db.execute("create index balances on accounts (balance)")
    db.execute("create table done (count)")
    db.execute("begin")
    db.execute("insert into done values (0)")
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
        db.execute("update done set count = count + 1")
        db.execute("commit")
for mode in ("wal", "delete"):
    threading.Thread(target=work, args=(mode,)).start()
"""


@contextmanager
def sqlite(where: Path) -> Iterator[Look]:
    """Two databases of SQLite: with a write-ahead log, and with a journal to roll back from."""
    with writing(_SQLITE, where, "ready-wal", "ready-delete"):
        yield lambda copy: min(_ledger(copy / "wal"), _ledger(copy / "delete"))


def _ledger(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        found = database.execute("select count(*), sum(balance) from accounts").fetchone()
        assert found == (2000, 2_000_000)
        (count,) = database.execute("select count from done").fetchone()
        return int(count)


@contextmanager
def postgresql(where: Path) -> Iterator[Look]:
    """A server of PostgreSQL, with pgbench."""
    with _bound(where, USER) as place:
        aside = place / "aside"
        aside.mkdir()
        shutil.chown(aside, USER, USER)
        server = Server(programs(), place / "here" / "data", place)
        run(server.command("initdb", "-D", server.data, "-A", "trust", "--data-checksums", "--no-sync"))
        with server.running("-c max_wal_size=64MB -c checkpoint_timeout=30s"):
            run(server.command("pgbench", "-h", place, "-i", "-q", "-s", 1, USER))
            load = spawn(server.command("pgbench", "-h", place, "-T", 36000, "-c", 4, "-n", USER))
            try:
                yield lambda copy: _starts(Server(server.programs, copy / "data", aside))
                assert load.poll() is None
            finally:
                load.terminate()
                load.wait(30)


_SUMS = """
select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),
       (select sum(tbalance) from pgbench_tellers), (select coalesce(sum(delta), 0) from pgbench_history)
"""


def _starts(server: Server) -> int:
    # On another machine the first server's number is nobody's; here it may be.
    (server.data / "postmaster.pid").unlink()
    with server.running():
        assert len(set(server.ask(_SUMS).strip().split("|"))) == 1
        server.ask("create extension if not exists amcheck")
        arguments = ["-h", server.socket, "--heapallindexed", "--no-dependent-toast", USER]
        run(server.command("pg_amcheck", *arguments))
        return int(server.ask("select count(*) from pgbench_history"))


@contextmanager
def mariadb(where: Path) -> Iterator[Look]:
    """A server of MariaDB, with InnoDB."""
    with _bound(where, _MARIADB) as place, ExitStack() as stack:
        data, socket, aside = place / "here" / "data", place / "here.sock", place / "aside.sock"
        options = [f"--user={_MARIADB}", "--skip-test-db", "--skip-name-resolve"]
        run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", *options])
        stack.enter_context(_served(data, socket))
        _ask(socket, _LEDGER)
        load = spawn(["mariadb", "--no-defaults", f"--socket={socket}", "-e", "call bank.work()"])
        stack.callback(load.wait)
        stack.callback(load.kill)

        def look(copy: Path) -> int:
            with _served(copy / "data", aside):
                answer = _ask(aside, _AUDIT).split()
            assert answer[:3] == ["bank.accounts", "check", "status"]
            assert answer[3:6] == ["OK", "2000", "2000000"]
            return int(answer[6])

        yield look
        assert load.poll() is None


_MARIADB = "mysql"
_LEDGER = """
create database bank;
use bank;
create table accounts (id int primary key, balance int, filler char(250), key (balance)) engine=innodb;
create table done (count int) engine=innodb;
insert into done values (0);
insert into accounts select seq, 1000, repeat('x', 250) from seq_0_to_1999;
delimiter //
create procedure work()
begin
    declare one, other, amount int;
    loop
        set one = floor(rand() * 2000), other = floor(rand() * 2000), amount = floor(rand() * 100);
        start transaction;
        update accounts set balance = balance - amount where id = one;
        update accounts set balance = balance + amount where id = other;
        update done set count = count + 1;
        commit;
    end loop;
end //
"""
_AUDIT = """
check table bank.accounts extended;
select count(*), sum(balance) from bank.accounts;
select count from bank.done;
"""


def _ask(socket: Path, query: str) -> str:
    argv = ["mariadb", "--no-defaults", f"--socket={socket}", "--batch", "--skip-column-names"]
    return run(argv, stdin=query.encode()).text


@contextmanager
def _served(data: Path, socket: Path) -> Iterator[None]:
    options = ["--skip-networking", "--skip-grant-tables", f"--user={_MARIADB}"]
    options += ["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"]
    server = spawn(["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", *options])
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                _ask(socket, "select 1;")
                break
            except CommandFailed:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(60)


@contextmanager
def _bound(where: Path, user: str) -> Iterator[Path]:
    """A place that is the user's, where ``here`` is the directory: its servers can start there."""
    with tempfile.TemporaryDirectory(prefix="dtesx-test-") as name, ExitStack() as stack:
        place = Path(name)
        here = place / "here"
        here.mkdir()
        shutil.chown(place, user)
        run(["mount", "--bind", str(where), str(here)])
        stack.callback(run, ["umount", str(here)])
        shutil.chown(here, user, user)
        yield place


DATABASES = {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb}
