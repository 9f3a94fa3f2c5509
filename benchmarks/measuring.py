"""What one run costs, and the medians of many."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_RESERVE = 1 << 29
_TICKS = os.sysconf("SC_CLK_TCK")

# An installed program has its bytecode beside it; one that may not write it compiles all at every start.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Sample:
    """One run: wall and CPU seconds (user + system, both sides), bytes on the wire, peak memory in bytes."""

    wall: float
    cpu: float
    wire: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end."""

    wall: float
    cpu: float
    memory: int
    output: str


def run_client(argv: Sequence[str]) -> Ended:
    """Run a program to its end and measure it; raises RuntimeError when it fails."""
    began = time.perf_counter()
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed with {process.returncode}:\n{output}")
    return Ended(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output)


def server_cpu(pid: int) -> float:
    """CPU seconds of a server and of its children that have ended (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def server_memory(pid: int) -> int:
    """Peak memory of a server in bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def settled(pid: int, patience: float = 3.0) -> float:
    """The CPU seconds of a server once they stand still: rsync's daemon reaps its child a little late."""
    last, deadline = server_cpu(pid), time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = server_cpu(pid)
        if now == last:
            break
        last = now
    return last


def room(directory: Path) -> int:
    """Bytes that may be put into a directory: where that is in memory, half a GiB less than there is."""
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", str(directory)], check=True, capture_output=True, text=True
    ).stdout
    return min(free, _available() - _RESERVE) if kind.strip() in ("tmpfs", "ramfs") else free


def _available() -> int:
    """Memory that programs can have without swapping, in bytes (proc(5), meminfo)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024


def median(samples: Sequence[Sample]) -> Sample:
    """The medians of each figure on its own."""
    return Sample(
        statistics.median(sample.wall for sample in samples),
        statistics.median(sample.cpu for sample in samples),
        int(statistics.median(sample.wire for sample in samples)),
        int(statistics.median(sample.memory for sample in samples)),
    )
