"""For how long epochs of one moment hold up who writes. Needs root, and a disk with 4 GB of room.

    python -m benchmarks.freezing [--work /var/tmp] [--kinds ext4 xfs] [--seconds 40] [--rate 20]

A process writes blocks of 4 KiB at random places of a file of 1 GiB, RATE MB a second, and makes --files
(500) new files of 4 KiB a second, while dtesx replicate tries to make an epoch of one moment every second
with the default budget. Prints a Markdown table, after less than two minutes: how often the file system was
frozen, how many epochs were of one moment, and for how long it was frozen.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.capture import file_system
from benchmarks.contestants import dtesx
from benchmarks.measuring import ENVIRONMENT

_WRITER = """
import os, random, sys, time
size, block = 1 << 30, os.urandom(4096)
fd = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT)
# As databases do, and not in large pieces: the kernel keeps these as large folios, which get dirty as one.
for _ in range(size >> 12):
    os.write(fd, block)
os.fsync(fd)
print("ready", flush=True)
files = float(sys.argv[3])
each = 1 / (float(sys.argv[2]) * 1e6 / 4096 + files)
begin, done, made = time.monotonic(), 0, 0
while True:
    # No more than a second is made up for, after it was held up.
    now = time.monotonic()
    behind = now - begin - done * each
    if behind > 1:
        begin += behind - 1
    elif behind < 0:
        time.sleep(0.005)
        continue
    data = block[done % 4096 :] + block[: done % 4096]
    if made < done * each * files:
        directory = f"{sys.argv[1]}/new/{made // 1000:06}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{made}", "wb") as file:
            file.write(data)
        made += 1
    else:
        os.pwrite(fd, data, random.randrange(size >> 12) << 12)
    done += 1
"""
_ROOM = 1 << 31
_PATIENCE = 60.0
"""Seconds for the first mirror."""


@contextmanager
def _writing(where: Path, rate: float, files: float) -> Iterator[None]:
    argv = [sys.executable, "-c", _WRITER, str(where), str(rate), str(files)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@contextmanager
def _replicating(argv: list[str]) -> Iterator[None]:
    with subprocess.Popen(argv, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("dtesx replicate ended")
        finally:
            process.send_signal(signal.SIGTERM)


def _status(file: Path) -> Iterator[dict[str, Any]]:
    while True:
        with suppress(FileNotFoundError):
            yield json.loads(file.read_text())
        time.sleep(0.05)


def measure(work: Path, kind: str, seconds: float, rate: float, files: float) -> str:
    """Replicate for so long; returns the row of the table."""
    status, tried, whole = work / "status", dict[int, float](), set[int]()
    reasons = set[str]()
    with ExitStack() as stack:
        disk = stack.enter_context(file_system(work, kind, _ROOM))
        stack.enter_context(_writing(disk, rate, files))
        target = stack.enter_context(dtesx(work, tls=True))
        own = target.client[target.client.index("--state") :]
        argv = [*target.client[:3], "replicate", str(disk), f"{target.url}/disk", *own]
        argv += ["--epoch", "1", "--consistent-every", "1", "--status", str(status)]
        stack.enter_context(_replicating(argv))
        until, patience = None, time.monotonic() + _PATIENCE
        for now in _status(status):
            if until is None and now["phase"] == "replicating":
                until = time.monotonic() + seconds
            if time.monotonic() > (until or patience):
                break
            if now["freezes"]["times"]:
                tried[now["freezes"]["times"]] = now["freezes"]["last"]
            if now["consistent"]:
                whole.add(now["consistent"]["number"])
            reasons.add(now["fuzzy"])
    ordered = sorted(tried.values()) or [0.0]
    p50, p99 = (ordered[len(ordered) * part // 100] for part in (50, 99))
    print(kind, sorted(reasons), file=sys.stderr)
    return (
        f"| {kind} | {max(tried, default=0)} | {len(whole)} | {1000 * p50:.0f} ms | {1000 * p99:.0f} ms "
        f"| {1000 * ordered[-1]:.0f} ms |"
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--kinds", nargs="*", default=["ext4", "xfs"])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--files", type=float, default=500)
    options = parser.parse_args()
    print("| | frozen | of one moment | p50 | p99 | at most |\n|---|---:|---:|---:|---:|---:|")
    for kind in options.kinds:
        with tempfile.TemporaryDirectory(prefix="dtesx-bench-", dir=options.work) as work:
            print(measure(Path(work), kind, options.seconds, options.rate, options.files), flush=True)


if __name__ == "__main__":
    main()
