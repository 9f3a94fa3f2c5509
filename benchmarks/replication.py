"""How far a replica is behind its source while the source changes all the time. Needs root.

    python -m benchmarks.replication [--work /var/tmp] [--seconds 60] [--scale 1.0] [--only scattered ...]
                                     [--rivals dtesx lsyncd none] [--away 120]

Source and replica are ext4 file systems in images below WORK, `dtesx replicate` and `dtesx target` are
processes of their own and speak TLS over the loopback interface; so is the program that changes the
source (benchmarks.loads), at a rate that --scale multiplies. Ten times a second it is noted how far the
replica is behind. Prints a Markdown table; its first columns say who replicates what and what the load
came to, its CPU those of source and target for each second, "equal after" how long after the end of the
load the replica was equal, its last but two how much the source's disk had to write for each byte
written, and what crossed the link for each byte that was other than an epoch before.

In `away` the load is `scattered`, and the target is stopped (SIGSTOP) for --away seconds after the first
ten. The load ends when the target has all that was written before it was back: "equal after" counts from
there, and the link from when the target was stopped.

The rival lsyncd watches with inotify and runs rsync, with the delay of an epoch; none does nothing, so
that what the load writes by itself is known.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loads import EPOCH, LOADS
from benchmarks.sites import Alone, Dtesx, Lsyncd, Site

_AWAY = "away"
_BEFORE = 10.0
_LONG = 3600.0
_IMAGE = 12 << 30
_NEEDED = 4 << 30
_RIVALS = ("dtesx", "lsyncd", "none")
_SAMPLE = 0.1


@dataclass
class Run:
    """One run: latencies in seconds, what the load said, and what it cost."""

    name: str
    rival: str
    latencies: list[float] = field(default_factory=list)
    load: dict[str, float] = field(default_factory=dict)
    source: float = 0.0
    target: float = 0.0
    memory: tuple[int, int] = (0, 0)
    equal_after: float = 0.0
    epochs: int = 0
    written: int = 0
    wire: int = 0
    equal: bool = False

    def row(self) -> str:
        """A line of the table."""
        seconds = self.load["seconds"]
        ordered = sorted(self.latencies)
        p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
        memory = " + ".join(f"{size / 1e6:.0f}" for size in self.memory)
        return (
            f"| {self.rival} | {self.name} | {self.load['written'] / seconds / 1e6:.1f} MB/s, "
            f"{self.load['names'] / seconds:.0f} names/s | {p50:.1f} s | {p95:.1f} s | {ordered[-1]:.1f} s "
            f"| {self.equal_after:.1f} s | {self.epochs} | {self.source / seconds:.2f} + "
            f"{self.target / seconds:.2f} | {memory} MB | {_share(self.written, self.load['written'])} "
            f"| {_share(self.wire, self.load['changed'])} | {'yes' if self.equal else 'NO'} |"
        )


_HEAD = (
    "| | load | came to | latency p50 | p95 | most | equal after | epochs | CPU s/s, source + target "
    "| memory | disk | link | equal |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if part and whole else "-"


class Driver:
    """Runs one load at a site and notes what happens."""

    def __init__(self, run: Run, site: Site, load: subprocess.Popen[str]) -> None:
        self._run = run
        self._site = site
        self._load = load

    def measure(self, seconds: float, away: float) -> None:
        """Run the load for so long; ``away``: stop the target for so long instead, and see it catch up."""
        run, site = self._run, self._site
        before, epochs, written = site.cost(), site.epochs(), site.written()
        wire = site.wire()
        assert self._load.stdin is not None
        assert self._load.stdout is not None
        self._load.stdin.write("\n")
        self._load.stdin.flush()
        if away:
            wire, back = self._without_target(away)
            self._load.terminate()
        else:
            self._sample(seconds)
        run.load = json.loads(self._load.stdout.readline())
        over = time.time()
        cost = site.cost()
        run.source, run.target = cost.source - before.source, cost.target - before.target
        run.equal_after = site.until(over) - (back if away else over)
        run.epochs = site.epochs() - epochs
        run.wire = site.wire() - wire
        run.memory = site.memory()
        os.sync()
        run.written = site.written() - written
        run.equal = site.equal()

    def _without_target(self, away: float) -> tuple[int, float]:
        """Returns what had crossed the link before the target was stopped, and when it was back."""
        self._sample(_BEFORE)
        wire = self._site.wire()
        self._load.send_signal(signal.SIGUSR1)
        os.kill(self._site.target, signal.SIGSTOP)
        try:
            self._sample(away)
        finally:
            os.kill(self._site.target, signal.SIGCONT)
        back = time.time()
        while self._site.current() < back:
            self._sample(_SAMPLE)
        return wire, back

    def _sample(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._site.beat()
            self._run.latencies.append(max(0.0, time.time() - self._site.current()))
            time.sleep(_SAMPLE)


@contextmanager
def disk(work: Path, name: str, room: int = _IMAGE) -> Iterator[Path]:
    """An ext4 file system of its own."""
    image, where = work / f"{name}.img", work / name
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(room)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)
        image.unlink()


def _site(rival: str, source: Path, work: Path, replica: Path, stack: ExitStack) -> Site:
    if rival == "lsyncd":
        return Lsyncd(source, work, replica, stack, round(EPOCH))
    return Dtesx(source, work, replica, stack) if rival == "dtesx" else Alone(source)


def _race(name: str, rival: str, given: argparse.Namespace) -> Run:
    run, load = Run(name, rival), "scattered" if name == _AWAY else name
    away = given.away if name == _AWAY else 0.0
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtesx-bench-", dir=given.work)))
        source, replica = (stack.enter_context(disk(work, name)) for name in ("source", "replica"))
        source /= "tree"
        LOADS[load].prepare(source)
        site = _site(rival, source, work, replica, stack)
        argv = [sys.executable, "-m", "benchmarks.loads", load, str(source), "--scale", str(given.scale)]
        argv += ["--seconds", str(_LONG if away else given.seconds)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            with site.replicating():
                os.sync()  # so that it is the load that is measured
                Driver(run, site, process).measure(given.seconds, away)
    return run


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--away", type=float, default=120.0)
    names = [*LOADS, _AWAY]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--rivals", nargs="+", choices=_RIVALS, default=["dtesx"])
    given = parser.parse_args()
    free = shutil.disk_usage(given.work).free
    if free < _NEEDED:
        sys.exit(
            f"{given.work} has {free >> 30} GiB free; this takes {_NEEDED >> 30} GiB: choose another --work"
        )
    print(_HEAD)
    for name in given.only:
        for rival in given.rivals:
            if rival == "dtesx" or name != _AWAY:
                print(_race(name, rival, given).row(), flush=True)


if __name__ == "__main__":
    main()
