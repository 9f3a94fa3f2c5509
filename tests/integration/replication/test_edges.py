"""Epochs of one moment: whatever is written at the time, the replica holds what there was at one instant."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import ReplicationOptions, ReplicationStatus
from dtesx.model.request import MirrorRequest
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.replicating import Replication
from dtesx.replication.epochs import Epochs

from .conftest import QUICK, Site
from .real.test_postgresql import USER, Server, programs

pytestmark = pytest.mark.integration

WAIT = 60.0
SECONDS = float(os.environ.get("DTESX_EDGE_SECONDS", "4"))
"""For how long each writer writes; by hand longer."""

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

MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}

_STEPS = """
import mmap, os, struct, sys
os.chdir(sys.argv[1])
size = 8 << 20
for name in "ab":
    with open(name, "wb") as file:
        file.write(bytes(size))
files = [os.open(name, os.O_RDWR) for name in "ab"]
stores = []
for name in "cd":
    with open(name, "w+b") as file:
        file.truncate(size)
        stores.append(mmap.mmap(file.fileno(), size))
os.mkdir("x")
os.mkdir("y")
open("x/0", "w").close()
for count in range(1, 1 << 40):
    word = struct.pack("q", count)
    # Not one page all the time: what is dirty already would hide much.
    at = 4096 * (count * 37 % (size // 4096))
    for fd in files:
        os.pwrite(fd, word, 0)
        os.pwrite(fd, word, at | 8)
    for store in stores:
        store[0:8] = word
        store[at | 8 : at | 16] = word
    here, there = ("x", "y") if count % 2 else ("y", "x")
    os.rename(f"{here}/{count - 1}", f"{there}/{count}")
    with open("small.new", "wb") as file:
        file.write(word)
    os.rename("small.new", "small")
"""


def steps(replica: Path) -> int:
    """Check that a replica is what the writer of steps had made at one instant; returns the step."""
    found = []
    for name in "abcd":
        with (replica / name).open("rb") as file:
            found.append(struct.unpack("q", file.read(8))[0])
    (token,) = [path for place in "xy" for path in (replica / place).iterdir()]
    assert token.parent.name == "yx"[int(token.name) % 2 == 0]
    found.append(int(token.name))
    small = replica / "small"
    found.append(struct.unpack("q", small.read_bytes())[0] if small.exists() else 0)
    assert found == sorted(found, reverse=True), found
    assert found[0] - found[-1] <= 1, found
    _all_pages(replica, found[:4])
    return found[0]


def _all_pages(replica: Path, counts: list[int]) -> None:
    """Every page of the files has the last step that fell on it, or the one that was just being made."""
    for name, count in zip("abcd", counts, strict=True):
        data = (replica / name).read_bytes()
        pages = len(data) // 4096
        last = {step * 37 % pages: step for step in range(max(1, count - pages + 1), count + 1)}
        for page, step in last.items():
            had = struct.unpack_from("q", data, 4096 * page + 8)[0]
            assert had in ((step,) if step != count else (step, max(0, step - pages))), (name, page)


@dataclass
class Watched:
    """What became of a replication: its states, and its epochs when they had been applied."""

    states: list[ReplicationStatus] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    def consistent(self) -> list[Epoch]:
        return [epoch for epoch in self.epochs if epoch.kind is EpochKind.CRASH]

    def for_a_while(self) -> None:
        """Let it go on for SECONDS, and longer if there were too few epochs of one moment."""
        end = time.monotonic() + SECONDS
        self.until(lambda: time.monotonic() > end and len(self.consistent()) >= 3)

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT
        while not done():
            assert time.monotonic() < deadline, self.states[-1:]
            assert not self.problems, self.problems
            time.sleep(0.02)


@pytest.fixture
def mounted(bare_site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose source is a file system of its own."""
    image = tmp_path / "source.img"
    with image.open("wb") as file:
        file.truncate(1 << 30)
    run([*MAKE[request.param], str(image)])
    run(["mount", "-o", "loop", str(image), str(bare_site.source)])
    try:
        yield bare_site
    finally:
        gc.collect()  # a mirror that was stopped in the middle has directories open until then
        run(["umount", str(bare_site.source)])


systems = pytest.mark.parametrize("mounted", list(MAKE), indirect=True)


@contextmanager
def replicating(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[Path], object],
    *,
    every: float = 0.3,
    budget: float = 2.0,
) -> Iterator[Watched]:
    """Replicate; ``check`` gets the replica at every epoch of one moment, before the next one is applied."""
    watched, stop = Watched(), threading.Event()
    carry_out = Epochs._carry_out

    def carried_out(self: Epochs, epoch: Epoch, **options: bool) -> None:
        carry_out(self, epoch, **options)
        try:
            if epoch.kind is EpochKind.CRASH:
                check(site.target)
        except BaseException as problem:  # told in the test's own thread
            watched.problems.append(problem)
        watched.epochs.append(epoch)

    monkeypatch.setattr(Epochs, "_carry_out", carried_out)
    request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",))
    with Follower(["/data"], site.view) as follower:
        replication = Replication(
            request,
            site.us,
            follower,
            mirror=MirrorOptions(),
            options=ReplicationOptions(0.2, every, budget),
            link=LinkOptions(),
            opener=site.view,
            status=watched.states.append,
            stop=stop,
            backoff=QUICK,
        )
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            yield watched
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()


def report(watched: Watched, checked: int) -> None:
    """What there was; shown with -s."""
    state = watched.states[-1]
    print(f"{checked} of {len(watched.epochs)} epochs checked; {state.freezes}; {state.fuzzy or 'consistent'}")


@contextmanager
def writing(script: str, place: Path, *ready: str) -> Iterator[None]:
    """A process that writes all the time; it has begun when there are the files ``ready``."""
    process = spawn([sys.executable, "-c", script, str(place)])
    try:
        while not all((place / name).exists() for name in ready):
            assert process.poll() is None
            time.sleep(0.01)
        yield
        assert process.poll() is None, "the writer ended"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def copied(replica: Path, copies: Path) -> None:
    """Keep a copy of the replica to look at later."""
    copies.mkdir(exist_ok=True)
    run(["cp", "-a", str(replica), str(copies / f"{len(list(copies.iterdir())):04}")])


@systems
def test_all_is_of_one_instant(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_STEPS, mounted.source, "small"))
        watched = stack.enter_context(
            replicating(mounted, monkeypatch, lambda replica: seen.append(steps(replica)))
        )
        watched.for_a_while()
    assert seen == sorted(seen)
    report(watched, len(seen))


def _ledger(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        found = database.execute("select count(*), sum(balance) from accounts").fetchone()
        assert found == (2000, 2_000_000)


@systems
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


@pytest.mark.parametrize("mounted", ["ext4", "xfs"], indirect=True)
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
