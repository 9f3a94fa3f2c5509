"""What it costs programs that changes are captured, in turns with no capture. Needs root, fio, PostgreSQL.

    python -m benchmarks.capture [--work /dev/shm] [--kind ext4] [--rounds 5] [--only buffered ...]

Every run has a directory of its own on one file system, which is made in WORK. Prints a line for each
run, then a Markdown table of medians: the CPU seconds of the program without capture, and on rung A and
B as multiples of that, with those of the process that captures. What is done about changes is not in it.

    python -m benchmarks.capture --kind xfs --directories 200000

measures the memory of that process while something changes in each of so many directories.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import postgres
from benchmarks.measuring import Sample, median, run_client, server_cpu, server_memory
from benchmarks.workloads import large_files, small_files
from dtesx.capture.capture import Capture
from dtesx.model.capture import Rung

_MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
_ROOM = 2 << 30  # an image in memory grows up to this, for it keeps what was removed
_PAUSE = 1.0
_SIZE = 256 << 20
_FOLLOW = "--follow"


@dataclass(frozen=True)
class Workload:
    """A program that changes files in a directory, which ``prepare`` fills."""

    name: str
    prepare: Callable[[Path], None]
    command: Callable[[Path], Sequence[str]]


def _fio(name: str, engine: str, writes: int, *options: str) -> Workload:
    def command(where: Path) -> Sequence[str]:
        return [
            *(
                "fio",
                "--name=run",
                f"--filename={where / 'large-0'}",
                f"--ioengine={engine}",
                "--rw=randwrite",
            ),
            *("--bs=4k", "--size=256m", "--overwrite=1", "--fallocate=none", "--randseed=1", "--norandommap"),
            *("--invalidate=0", "--thread", f"--number_ios={writes}", f"--io_size={writes * 4}k", *options),
        ]

    return Workload(name, lambda where: large_files(where, 1, _SIZE), command)


def _packed(where: Path) -> None:
    small_files(where / "tree", 20_000)
    subprocess.run(["tar", "-cf", where / "tree.tar", "-C", where, "tree"], check=True)
    shutil.rmtree(where / "tree")


def _repository(where: Path) -> None:
    small_files(where, 5_000)
    author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
    # Nothing that goes on behind our back when the directory is to be removed.
    quiet = ["config", "maintenance.auto", "false"]
    for command in (["init", "-q"], quiet, ["add", "."], [*author, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", where, *command], check=True)


WORKLOADS = (
    _fio("buffered", "psync", 200_000),
    _fio("direct", "psync", 50_000, "--direct=1"),
    _fio("mapped", "mmap", 500_000),
    _fio("libaio", "libaio", 50_000, "--direct=1", "--iodepth=16"),
    _fio("fdatasync", "psync", 10_000, "--fdatasync=1"),
    Workload("untar", _packed, lambda where: ["tar", "-xf", str(where / "tree.tar"), "-C", str(where)]),
    Workload("pgbench", postgres.prepare, lambda where: postgres.command(where, 8_000)),
    Workload("git gc", _repository, lambda where: ["git", "-C", str(where), "gc", "-q"]),
)


@contextmanager
def file_system(work: Path, kind: str, room: int = _ROOM) -> Iterator[Path]:
    """A new file system of that kind and of so many bytes, mounted."""
    image, where = work / "image", work / "disk"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(room)
    subprocess.run([*_MAKE[kind], image], check=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


@contextmanager
def _following(where: Path, rung: Rung) -> Iterator[int]:
    """A process that captures what changes; its number."""
    argv = [sys.executable, "-m", "benchmarks.capture", _FOLLOW, rung, "--work", str(where)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != rung:
            raise RuntimeError(f"there is no rung {rung} here: see dtesx capture probe")
        yield process.pid
        process.communicate()


def _follow(where: Path, rung: Rung) -> None:
    directory = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    with Capture(ranges=rung is Rung.RANGES) as capture:
        capture.watch("bench", directory)
        print(capture.rung("bench"), flush=True)
        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
        while not poll.poll(1000 * _PAUSE):
            capture.drain()


def _run(workload: Workload, where: Path, rung: Rung | None) -> tuple[Sample, Sample]:
    """One run: what the program took, and what capture did."""
    workload.prepare(where)
    os.sync()
    theirs = Sample(0, 0)
    with ExitStack() as stack:
        process = stack.enter_context(_following(where, rung)) if rung else None
        before = server_cpu(process) if process else 0.0
        ended = run_client(workload.command(where))
        if process:
            time.sleep(2 * _PAUSE)  # until it has seen the last changes
            theirs = Sample(0, server_cpu(process) - before, memory=server_memory(process))
    shutil.rmtree(where)
    return Sample(ended.wall, ended.cpu), theirs


def race(workload: Workload, disk: Path, rounds: int) -> str:
    """Run one workload without and with capture, in turns; returns the row of the table."""
    modes = (None, Rung.RANGES, Rung.EVENTS)
    samples: dict[Rung | None, list[tuple[Sample, Sample]]] = {mode: [] for mode in modes}
    for number in range(rounds):
        for mode in modes if number % 2 else reversed(modes):
            run = _run(workload, disk / "run", mode)
            samples[mode].append(run)
            print(
                f"{workload.name} {mode or '-'}: {run[0].wall:.2f} s, {run[0].cpu:.2f} CPU s; "
                f"capture {run[1].cpu:.2f} CPU s, {run[1].memory / 1e6:.0f} MB",
                file=sys.stderr,
                flush=True,
            )
    medians = {mode: [median(column) for column in zip(*runs, strict=True)] for mode, runs in samples.items()}
    plain = medians[None][0].cpu
    costs = [
        f"{medians[mode][0].cpu / plain:.2f}× | {medians[mode][1].cpu:.2f} CPU s" for mode in modes if mode
    ]
    return f"| {workload.name} | {plain:.2f} CPU s | {' | '.join(costs)} |"


def directories(disk: Path, count: int) -> Iterator[str]:
    """The memory of capture before and after ``count`` directories changed, once in each."""
    tree = disk / "tree"
    for number in range(count):
        (tree / f"{number // 1000}" / f"{number}").mkdir(parents=True)
    for rung in (Rung.RANGES, Rung.EVENTS):
        with _following(disk, rung) as process:
            before = server_memory(process)
            run_client(["find", str(tree), "-mindepth", "2", "-exec", "touch", "{}", "+"])
            time.sleep(2 * _PAUSE)
            grown = server_memory(process)
        yield f"| {rung} | {before / 1e6:.0f} MB | {grown / 1e6:.0f} MB |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--kind", choices=_MAKE, default="ext4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=[workload.name for workload in WORKLOADS])
    parser.add_argument("--directories", type=int, help="measure memory with so many directories instead")
    parser.add_argument(_FOLLOW, type=Rung, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.follow:
        _follow(options.work, options.follow)
        return
    work = Path(tempfile.mkdtemp(prefix="dtesx-bench-", dir=options.work))
    work.chmod(0o711)  # other users run programs in it
    try:
        with file_system(work, options.kind) as disk:
            if options.directories:
                print("| rung | before | at the most |\n|---|---|---|")
                rows = list(directories(disk, options.directories))
            else:
                print("| workload | no capture | rung A | its process | rung B | its process |")
                print("|---|---|---|---|---|---|")
                chosen = [w for w in WORKLOADS if not options.only or w.name in options.only]
                rows = [race(workload, disk, options.rounds) for workload in chosen]
        print("\n".join(rows))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
