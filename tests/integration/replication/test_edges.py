"""Epochs of one moment: whatever is written at the time, the replica holds what there was at one instant."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sqlite3
import struct
import sys
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

pytestmark = pytest.mark.integration

WAIT = 60.0
SECONDS = float(os.environ.get("DTESX_EDGE_SECONDS", "4"))
"""For how long each writer writes; by hand longer."""

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
print("ready", flush=True)
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


@contextmanager
def writing(script: str, place: Path) -> Iterator[None]:
    """A process that writes all the time."""
    process = spawn([sys.executable, "-c", script, str(place)])
    try:
        yield
        assert process.poll() is None, "the writer ended"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@systems
def test_all_is_of_one_instant(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_STEPS, mounted.source))
        while not (mounted.source / "small").exists():
            time.sleep(0.01)
        watched = stack.enter_context(
            replicating(mounted, monkeypatch, lambda replica: seen.append(steps(replica)))
        )
        end = time.monotonic() + SECONDS
        watched.until(lambda: time.monotonic() > end and len(seen) >= 3)
    assert seen == sorted(seen)
    print(watched.states[-1].freezes, watched.states[-1].fuzzy, len(seen), len(watched.epochs))
