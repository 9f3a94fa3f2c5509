"""First mirror and unchanged re-mirror of a tree over loopback TLS, in turns with ``rsync -aHAX``.

    python benchmarks/mirror.py /usr/share --work /dev/shm [--pairs 5]

Every round writes to a directory of its own and all are removed at the end: ext4 creates files
slowly for half a minute after many were removed. Prints one line a run and the medians; CPU is
user + system time of both sides. The rsync peer is a local process without a network between.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.run import run
from dtesx.model.api import MirrorRequest
from dtesx.replication.receiving import serve
from dtesx.replication.sending import run_mirror
from dtesx.wire.identity import Identity, create
from dtesx.wire.tls import server_context


@dataclass(frozen=True)
class Sample:
    """One run: wall and CPU seconds of both sides."""

    wall: float
    cpu: float


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(action: Callable[[], object]) -> Sample:
    """Wall and CPU time of an action, ended child processes included."""
    wall, cpu = time.perf_counter(), _cpu()
    action()
    return Sample(time.perf_counter() - wall, _cpu() - cpu)


@contextmanager
def _view(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def mirror(source: Path, target: Path, us: Identity, them: Identity) -> None:
    """One mirror by dtesx; the receiver is a process of its own, so its CPU time can be told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if pid == 0:
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            context = server_context(them, [us.certificate])
            serve(listener, context, {str(source): target}, status=lambda *_: None, stop=stop)
            os._exit(0)
        port = listener.getsockname()[1]
        request = MirrorRequest("benchmark", "127.0.0.1", port, them.certificate, (str(source),))
        try:
            stop = threading.Event()
            run_mirror(request, us, progress=lambda *_: None, stop=stop, opener=_view, calculate=False)
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--work", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    us, them = create("source"), create("target")
    samples: dict[tuple[str, str], list[Sample]] = {}
    work = Path(tempfile.mkdtemp(prefix="dtesx-bench-", dir=options.work))
    try:
        for number in range(options.pairs):
            for name in ("dtesx", "rsync") if number % 2 else ("rsync", "dtesx"):
                target = work / f"{name}-{number}"
                target.mkdir()
                rsync = ["rsync", "-aHAX", "--delete", f"{options.source}/", f"{target}/"]
                action: Callable[[], object] = lambda: run(rsync)  # noqa: E731, B023
                if name == "dtesx":
                    action = lambda: mirror(options.source, target, us, them)  # noqa: E731, B023
                for step in ("first", "again"):
                    sample = measure(action)
                    samples.setdefault((name, step), []).append(sample)
                    print(f"{name} {step}: {sample.wall:.2f} s, {sample.cpu:.2f} CPU s", flush=True)
    finally:
        shutil.rmtree(work)
    for (name, step), runs in sorted(samples.items(), key=lambda pair: pair[0][1]):
        wall = statistics.median(sample.wall for sample in runs)
        cpu = statistics.median(sample.cpu for sample in runs)
        print(f"median {step} {name}: {wall:.2f} s, {cpu:.2f} CPU s")


if __name__ == "__main__":
    main()
