"""Mirrors in turns with rsync, over the loopback interface, both sides counted.

    python -m benchmarks.mirror [--work /dev/shm] [--pairs 5] [--only first-small ...] [--scale 0.1]

Every run is a whole process, start-up included. The contestants take turns and the order changes
from round to round. Every first mirror gets a directory of its own: a file system creates files
slowly for a while after many were removed. Prints a line for each run, then a Markdown table of
medians. A scenario that needs more room than there is (in memory, where --work is there) is not
begun.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import workloads
from benchmarks.contestants import Contestant, dtesx, has_ssh, rsync, rsync_over_ssh
from benchmarks.measuring import Sample, median, room

GIB = 1 << 30
Build = Callable[[Path, float], None]


@dataclass(frozen=True)
class Scenario:
    """A workload. ``build`` makes the source tree; ``warm`` mirrors it so often beforehand, untimed.

    ``change`` alters the source; each run then starts from a replica of what it was before. ``room`` is
    what all trees and both sides' processes take at most (bytes).
    """

    name: str
    build: Build
    room: int
    warm: int = 0
    change: Callable[[Path], None] | None = None
    durable: bool = False
    rivals: tuple[str, ...] = ("rsync",)


def _small(root: Path, scale: float) -> None:
    workloads.small_files(root, int(100_000 * scale))


def _large(root: Path, scale: float) -> None:
    workloads.large_files(root, 2, int(GIB * scale))


def _mixed(root: Path, _scale: float) -> None:
    workloads.copy([Path("/usr/share"), Path("/usr/bin")], root)


def _million(root: Path, scale: float) -> None:
    workloads.small_files(root, int(1_000_000 * scale), 0)


def _insert_scattered(root: Path) -> None:
    workloads.insert_bytes(root, [number / 100 for number in range(100)])


SCENARIOS = (
    Scenario("first-small", _small, 2 * GIB),
    Scenario("first-small-durable", _small, 2 * GIB, durable=True),
    Scenario("first-large", _large, 5 * GIB, rivals=("rsync", "rsync-whole")),
    Scenario("first-mixed", _mixed, 3 * GIB),
    Scenario("again-small", _small, 3 * GIB, warm=2),
    Scenario("blocks-large", _large, 8 * GIB, change=lambda root: workloads.overwrite_blocks(root, 0.01)),
    Scenario("inserted-front", _large, 8 * GIB, change=lambda root: workloads.insert_bytes(root, [0.0])),
    Scenario("inserted-middle", _large, 8 * GIB, change=lambda root: workloads.insert_bytes(root, [0.5])),
    Scenario("inserted-scattered", _large, 8 * GIB, change=_insert_scattered),
    Scenario("again-million", _million, 5 * GIB, warm=2),
)


@contextmanager
def _contestants(work: Path, scenario: Scenario, *, tls: bool) -> Iterator[list[Contestant]]:
    with ExitStack() as stack:
        found = [stack.enter_context(dtesx(work, tls=tls))]
        if tls:
            found.append(stack.enter_context(rsync_over_ssh(work)))
        else:
            durable = ["--fsync"] if scenario.durable else []
            found.append(stack.enter_context(rsync(work, options=durable)))
            if "rsync-whole" in scenario.rivals:
                whole = ["-W", "--inplace"]
                found.append(stack.enter_context(rsync(work, options=whole, name="rsync-whole")))
        yield found


def race(scenario: Scenario, work: Path, pairs: int, scale: float, *, tls: bool) -> dict[str, list[Sample]]:
    """Run one scenario; returns each contestant's samples."""
    source, before = work / "source", work / "before"
    scenario.build(source, scale)
    if scenario.change is not None:
        _copy(source, before)
        scenario.change(source)
    samples: dict[str, list[Sample]] = {}
    with _contestants(work, scenario, tls=tls) as runners:
        for runner in runners:
            for _ in range(scenario.warm):
                runner.mirror(source, "kept")
        for number in range(pairs):
            for runner in runners if number % 2 else reversed(runners):
                sample = _one(scenario, runner, source, before, number)
                samples.setdefault(runner.name, []).append(sample)
                print(
                    f"{scenario.name} {runner.name}: {sample.wall:.2f} s, {sample.cpu:.2f} CPU s, "
                    f"{sample.wire / 1e6:.1f} MB on the wire, {sample.memory / 1e6:.0f} MB",
                    file=sys.stderr,
                    flush=True,
                )
    return samples


def _copy(tree: Path, copy: Path) -> None:
    shutil.copytree(tree, copy, copy_function=shutil.copy2)


def _one(scenario: Scenario, runner: Contestant, source: Path, before: Path, number: int) -> Sample:
    if scenario.warm:
        return runner.mirror(source, "kept")
    name = f"run-{number}"
    if scenario.change is not None:
        _copy(before, runner.data / name)
        os.sync()  # the disk would still be busy with the copy
    try:
        return runner.mirror(source, name)
    finally:
        shutil.rmtree(runner.data / name)


def _row(scenario: str, samples: dict[str, list[Sample]]) -> str:
    medians = {name: median(runs) for name, runs in samples.items()}
    ours = next(value for name, value in medians.items() if name.startswith("dtesx"))
    rivals = {name: value for name, value in medians.items() if not name.startswith("dtesx")}
    best, theirs = min(rivals.items(), key=lambda pair: pair[1].wall)
    wire = f"{theirs.wire / ours.wire:.1f}×" if ours.wire and theirs.wire else "–"
    return (
        f"| {scenario} | {best} {theirs.wall:.2f} s, {theirs.cpu:.2f} CPU s | "
        f"{ours.wall:.2f} s, {ours.cpu:.2f} CPU s | {theirs.wall / ours.wall:.2f}× | "
        f"{ours.cpu / theirs.cpu:.2f}× | {wire} | {ours.memory / 1e6:.0f} MB |"
    )


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads; 1 is the full size")
    parser.add_argument("--tls", action="store_true", help="with TLS, against rsync over ssh")
    options = parser.parse_args()
    if options.tls and not has_ssh():
        parser.error("there is no ssh server here to race against: apt-get install openssh-server")
    chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    if (needed := int(max(scenario.room for scenario in chosen) * options.scale)) > room(options.work):
        parser.error(
            f"{options.work} has room for {room(options.work) / GIB:.1f} GiB, {needed / GIB:.1f} are needed: "
            "choose another directory (--work), fewer scenarios (--only) or smaller ones (--scale)"
        )
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # the trees are large
    rows = []
    for scenario in chosen:
        work = Path(tempfile.mkdtemp(prefix="dtesx-bench-", dir=options.work))
        try:
            samples = race(scenario, work, options.pairs, options.scale, tls=options.tls)
        finally:
            shutil.rmtree(work)
        rows.append(_row(scenario.name, samples))
    print("| workload | best rival | dtesx | faster | CPU | fewer bytes | peak memory |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
