"""How far a replica is behind its source while the source changes all the time. Needs root.

    python -m benchmarks.replication [--work /var/tmp] [--seconds 60] [--scale 1.0] [--only scattered ...]

Source and replica are ext4 file systems in images below WORK, `dtesx replicate` and `dtesx target` are
processes of their own and speak TLS over the loopback interface; so is the program that changes the
source, at a rate that --scale multiplies. Ten times a second the latency is noted: now minus ``current``
of the status file. Prints a Markdown table: what the load came to, latency, CPU seconds a second of
both processes together, and how long after the end of the load the replica was equal.
In `away`, the target is stopped (SIGSTOP) for the middle third of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import dtesx
from benchmarks.measuring import ENVIRONMENT, server_cpu
from benchmarks.workloads import BLOCK, large_files

_LOAD = "--load"
_IMAGE = 12 << 30
_NEEDED = 6 << 30
_TICK = 0.02
_FILE = 256 << 20
_FILES = 4
_POOL = 8 << 20
_PATIENCE = 600.0


@dataclass
class Done:
    """What a load came to: changes of names, bytes written, and bytes that are other than before."""

    names: int = 0
    written: int = 0
    changed: int = 0


class Scattered:
    """20 MB/s of 4 KiB at any places of large files, and 500 new files of 4 KiB a second."""

    per_second = 5620

    def __init__(self, where: Path) -> None:
        self._where = where
        self._chance = random.Random(1)
        self._pool = self._chance.randbytes(_POOL)
        self._files = [os.open(path, os.O_WRONLY) for path in sorted((where / "large").iterdir())]
        self._seen: set[int] = set()
        self.done = Done()

    def change(self) -> None:
        """One change."""
        at = self._chance.randrange(_POOL - BLOCK)
        block = memoryview(self._pool)[at : at + BLOCK]
        if self._chance.randrange(self.per_second) < 500:
            directory = self._where / "new" / f"{self.done.names // 1000:04}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{self.done.names}").write_bytes(block)
            self.done.names += 1
            self.done.changed += BLOCK
        else:
            place = self._chance.randrange(_FILES * _FILE // BLOCK)
            offset = place * BLOCK % _FILE
            os.pwrite(self._files[place * BLOCK // _FILE], block, offset)
            self.done.changed += BLOCK * (place not in self._seen)
            self._seen.add(place)
        self.done.written += BLOCK


class Sequential:
    """80 MB/s into large files, from beginning to end, one after the other, again and again."""

    per_second = 80
    _STEP = 1_000_000

    def __init__(self, where: Path) -> None:
        self._files = [os.open(path, os.O_WRONLY) for path in sorted((where / "large").iterdir())]
        self._pool = random.Random(1).randbytes(_POOL)
        self._at = 0
        self.done = Done()

    def change(self) -> None:
        """One megabyte."""
        start = random.randrange(_POOL - self._STEP)
        file, at = divmod(self._at, _FILE)
        step = min(self._STEP, _FILE - at)
        os.pwrite(self._files[file % _FILES], memoryview(self._pool)[start : start + step], at)
        self._at += step
        self.done.written += step
        self.done.changed = min(self._at, _FILES * _FILE)


class Small:
    """3,500 changes of small files a second: half written anew, the others made, renamed, removed."""

    per_second = 3500
    _COUNT = 20_000

    def __init__(self, where: Path) -> None:
        self._where = where / "small"
        self._chance = random.Random(1)
        self._pool = self._chance.randbytes(_POOL)
        self._names: list[str] = []
        self._made = 0
        for number in range(200):
            (self._where / f"{number}").mkdir(parents=True)
        while len(self._names) < self._COUNT:
            self._make()
        self.done = Done()

    def change(self) -> None:
        """One change."""
        kind = self._chance.randrange(8)
        if kind < 4:
            self._write(self._chance.choice(self._names))
        elif kind < 6:
            self._make()
        elif kind < 7:
            name, at = self._new(), self._chance.randrange(len(self._names))
            (self._where / self._names[at]).rename(self._where / name)
            self._names[at] = name
        else:
            at = self._chance.randrange(len(self._names))
            os.unlink(self._where / self._names[at])
            self._names[at] = self._names[-1]
            self._names.pop()
        self.done.names += 1

    def _make(self) -> None:
        self._names.append(self._new())
        self._write(self._names[-1])

    def _new(self) -> str:
        self._made += 1
        return f"{self._chance.randrange(200)}/{self._made}"

    def _write(self, name: str) -> None:
        at, size = self._chance.randrange(_POOL - BLOCK), self._chance.randint(1, BLOCK)
        (self._where / name).write_bytes(memoryview(self._pool)[at : at + size])
        if hasattr(self, "done"):
            self.done.written += size
            self.done.changed += size


_LOADS: dict[str, Callable[[Path], Scattered | Sequential | Small]] = {
    "scattered": Scattered,
    "sequential": Sequential,
    "small": Small,
    "away": Scattered,
}


def _load(name: str, where: Path, seconds: float, scale: float) -> None:
    """Change ``where``: the rate of the load, or what can be done where that is less."""
    load = _LOADS[name](where)
    print("ready", flush=True)
    sys.stdin.readline()
    began, count = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        due = int(now * load.per_second * scale)
        while count < due:
            load.change()
            count += 1
        time.sleep(_TICK)
    print(json.dumps(vars(load.done) | {"seconds": time.monotonic() - began}), flush=True)


@dataclass
class Run:
    """One run: latencies in seconds, what the load said, and what it cost."""

    name: str
    latencies: list[float] = field(default_factory=list)
    load: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    caught_up: float = 0.0
    epochs: int = 0
    sent: int = 0
    wire: int = 0
    equal: bool = False

    def row(self) -> str:
        """A line of the table."""
        seconds = self.load["seconds"]
        ordered = sorted(self.latencies)
        p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
        return (
            f"| {self.name} | {self.load['written'] / seconds / 1e6:.1f} MB/s, "
            f"{self.load['names'] / seconds:.0f} names/s | {p50:.1f} s | {p95:.1f} s | {ordered[-1]:.1f} s "
            f"| {self.caught_up:.1f} s | {self.epochs} | {self.cpu / seconds:.2f} "
            f"| {self.wire / max(1, self.load['changed']):.2f} | {'yes' if self.equal else 'NO'} |"
        )


_HEAD = (
    "| load | came to | latency p50 | p95 | most | equal after | epochs | CPU | bytes on the wire / changed "
    "| equal |\n|---|---|---|---|---|---|---|---|---|---|"
)


def _state(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    return {}


class Site:
    """A source with its replication, and the target."""

    def __init__(self, work: Path, source: Path, replica: Path, stack: ExitStack) -> None:
        self.source, self._replica, self._work = source, replica, work
        self._target = stack.enter_context(ExitStack())
        self.status = work / "status.json"
        self._contestant = self._target.enter_context(dtesx(replica, tls=True))
        self.tree = replica / "dtesx" / "data" / "tree"
        self.tree.mkdir()

    @contextmanager
    def replicating(self) -> Iterator[Sequence[int]]:
        """`dtesx replicate` runs, and the first mirror is done; the numbers of both processes."""
        client = self._contestant.client
        state = client[client.index("--state") + 1]
        token = client[client.index("--token-file") + 1]
        argv = [*client[:3], "replicate", str(self.source), f"{self._contestant.url}/tree"]
        argv += ["--state", state, "--token-file", token, "--status", str(self.status)]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
            try:
                self.until(time.time())
                os.sync()  # so that it is the load that is measured
                yield process.pid, self._contestant.pid
            finally:
                process.send_signal(signal.SIGTERM)

    def until(self, moment: float) -> None:
        """Wait until the replica has all that was written before ``moment``."""
        deadline = time.monotonic() + _PATIENCE
        while _state(self.status).get("current", 0.0) < moment:
            if time.monotonic() > deadline:
                raise RuntimeError("the replica does not catch up")
            time.sleep(0.05)

    def stop(self, pid: int) -> None:
        """Have a process do nothing, so that whoever talks to it gives it up for dead."""
        os.kill(pid, signal.SIGSTOP)

    def go_on(self, pid: int) -> None:
        """Have it go on."""
        os.kill(pid, signal.SIGCONT)

    def equal(self) -> bool:
        """Whether the replica is what the source is."""
        argv = ["rsync", "-aHAXnc", "--delete", "--itemize-changes", "--exclude=/.dtesx-tmp.*"]
        ended = subprocess.run([*argv, f"{self.source}/", f"{self.tree}/"], capture_output=True, check=True)
        return not ended.stdout


def _measure(name: str, site: Site, seconds: float, scale: float) -> Run:
    run = Run(name)
    argv = [sys.executable, "-m", "benchmarks.replication", _LOAD, name, "--work", str(site.source)]
    argv += ["--seconds", str(seconds), "--scale", str(scale)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdout.readline()
        with site.replicating() as pids:
            before, stats = sum(map(server_cpu, pids)), _state(site.status)
            load.stdin.write("\n")
            load.stdin.flush()
            _sample(run, site, seconds, pids[1] if name == "away" else 0)
            run.load = json.loads(load.stdout.readline())
            over = time.time()
            run.cpu = sum(map(server_cpu, pids)) - before
            site.until(over)
            run.caught_up = time.time() - over
            after = _state(site.status)
            run.epochs = after["epoch"]["number"] - stats["epoch"]["number"]
            run.sent = after["stats"]["bytes_sent"] - stats["stats"]["bytes_sent"]
            run.wire = after["stats"]["bytes_wire"] - stats["stats"]["bytes_wire"]
            run.equal = site.equal()
    return run


def _sample(run: Run, site: Site, seconds: float, away: int) -> None:
    """Note how far the replica is behind; the process ``away`` is stopped for a while."""
    began = time.monotonic()
    gone = False
    while (now := time.monotonic() - began) < seconds:
        run.latencies.append(time.time() - _state(site.status).get("current", 0.0))
        if away and gone != (seconds / 3 <= now < 2 * seconds / 3):
            gone = not gone
            (site.stop if gone else site.go_on)(away)
        time.sleep(0.1)
    if gone:
        site.go_on(away)


@contextmanager
def _disk(work: Path, name: str) -> Iterator[Path]:
    """An ext4 file system of its own."""
    image, where = work / f"{name}.img", work / name
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def _race(names: Sequence[str], work: Path, seconds: float, scale: float) -> None:
    free = shutil.disk_usage(work).free
    if free < _NEEDED:
        sys.exit(f"{work} has {free >> 30} GiB free; this takes {_NEEDED >> 30} GiB: choose another --work")
    print(_HEAD)
    for name in names:
        with ExitStack() as stack:
            ours = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtesx-bench-", dir=work)))
            disk, replica = (stack.enter_context(_disk(ours, name)) for name in ("source", "replica"))
            source = disk / "tree"
            if name != "small":
                large_files(source / "large", _FILES, _FILE)
            else:
                source.mkdir()
            os.sync()
            print(_measure(name, Site(ours, source, replica, stack), seconds, scale).row(), flush=True)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=_LOADS, default=list(_LOADS))
    parser.add_argument(_LOAD, choices=_LOADS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load is not None:
        _load(given.load, given.work, given.seconds, given.scale)
    else:
        _race(given.only, given.work, given.seconds, given.scale)


if __name__ == "__main__":
    main()
