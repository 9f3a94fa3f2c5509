"""A source, a replica, and what keeps them equal: dtesx, lsyncd (with rsync), or nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import Contestant, dtesx, rsync
from benchmarks.measuring import ENVIRONMENT, server_cpu, server_memory

_PATIENCE = 600.0
_BEAT = ".beat"
_SECTOR = 512
_LSYNCD = """settings {{ nodaemon = true, logfile = "{log}", pidfile = "" }}
sync {{
    default.rsync, source = "{source}", target = "{target}", delay = {delay},
    rsync = {{ archive = true, hard_links = true, acls = true, xattrs = true }},
}}
"""


@dataclass(frozen=True)
class Cost:
    """CPU seconds of the source's and of the target's process so far, with their children that ended."""

    source: float
    target: float


class Site(ABC):
    """The two trees ``source`` and ``tree``. ``target`` is the number of the process that receives."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.tree = source
        self.target = self._sender = 0

    @abstractmethod
    def replicating(self) -> ExitStack:
        """What was begun; the two are equal for the first time."""

    @abstractmethod
    def current(self) -> float:
        """The replica has all that was written before (Unix seconds)."""

    def beat(self) -> None:  # noqa: B027 - most tell the time themselves
        """The time goes on."""

    def wire(self) -> int:
        """Bytes sent so far; 0 where nobody counts them."""
        return 0

    def epochs(self) -> int:
        """The number of the last epoch applied."""
        return 0

    def cost(self) -> Cost:
        """What it has cost so far."""
        cpu = [server_cpu(pid) if pid else 0.0 for pid in (self._sender, self.target)]
        return Cost(*cpu)

    def memory(self) -> tuple[int, int]:
        """Bytes of memory of source and target at their peaks."""
        source, target = (server_memory(pid) if pid else 0 for pid in (self._sender, self.target))
        return source, target

    def until(self, moment: float) -> float:
        """Wait until the replica has all that was written before ``moment``; returns when it had."""
        deadline = time.monotonic() + _PATIENCE
        while self.current() < moment:
            if time.monotonic() > deadline:
                raise RuntimeError("the replica does not catch up")
            self.beat()
            time.sleep(0.05)
        return time.time()

    def equal(self) -> bool:
        """Whether the replica is what the source is."""
        if self.tree == self.source:
            return True
        argv = ["rsync", "-aHAXnc", "--delete", "--itemize-changes", "--exclude=/.dtesx-tmp.*"]
        argv += [f"--exclude=/{_BEAT}", f"{self.source}/", f"{self.tree}/"]
        return not subprocess.run(argv, capture_output=True, check=True).stdout

    def written(self) -> int:
        """Bytes written so far to the disk that the source is on (the kernel's iostats)."""
        device = self.source.stat().st_dev
        path = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        return int(path.read_text().split()[6]) * _SECTOR


class Dtesx(Site):
    """`dtesx replicate` and `dtesx target`, over TLS."""

    def __init__(self, source: Path, work: Path, replica: Path, stack: ExitStack) -> None:
        super().__init__(source)
        self._status = work / "status.json"
        self._contestant = stack.enter_context(dtesx(replica, tls=True))
        self.target = self._contestant.pid
        self.tree = self._contestant.data / "tree"
        self.tree.mkdir()

    def replicating(self) -> ExitStack:
        began = time.time()
        with self.running() as stack:
            self.until(began)
            return stack.pop_all()

    def running(self, options: Sequence[str] = (), prefix: Sequence[str] = ()) -> ExitStack:
        """`dtesx replicate` was started with further options, by what ``prefix`` says."""
        client = self._contestant.client
        self._status.unlink(missing_ok=True)
        argv = [*prefix, *client[:3], "replicate", str(self.source), f"{self._contestant.url}/tree"]
        argv += [*client[client.index("--state") :], "--status", str(self._status), *options]
        with ExitStack() as stack:
            self._sender = stack.enter_context(_running(argv))
            return stack.pop_all()

    def status(self) -> dict[str, Any]:
        """What the status file says."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self._status.read_text())
            return found
        return {}

    def current(self) -> float:
        return float(self.status().get("current", 0.0))

    def wire(self) -> int:
        return int(self.status()["stats"]["bytes_wire"])

    def epochs(self) -> int:
        epoch = self.status()["epoch"]
        return int(epoch["number"]) if epoch else 0


class Lsyncd(Site):
    """Lsyncd, which runs rsync for what inotify tells it, after the ``delay`` (seconds) of an epoch.

    How far the replica is, a file in it tells that is written all the time: what was written before it may
    yet be under way.
    """

    def __init__(self, source: Path, work: Path, replica: Path, stack: ExitStack, delay: int) -> None:
        super().__init__(source)
        self._work, self._delay = work, delay
        self._contestant: Contestant = stack.enter_context(rsync(replica))
        self.target = self._contestant.pid
        self.tree = self._contestant.data / "tree"
        self.tree.mkdir()

    def replicating(self) -> ExitStack:
        config = self._work / "lsyncd.conf"
        target = f"{self._contestant.url}/tree"
        log = self._work / "lsyncd.log"
        config.write_text(_LSYNCD.format(log=log, source=self.source, target=target, delay=self._delay))
        began = time.time()
        with ExitStack() as stack:
            self._sender = stack.enter_context(_running(["lsyncd", str(config)]))
            self.until(began)
            return stack.pop_all()

    def beat(self) -> None:
        (self.source / _BEAT).write_text(f"{time.time():.3f}\n")

    def current(self) -> float:
        with suppress(FileNotFoundError):
            told = (self.tree / _BEAT).read_text()
            return float(told) if told.endswith("\n") else 0.0
        return 0.0


class Alone(Site):
    """The source alone."""

    def replicating(self) -> ExitStack:
        return ExitStack()

    def current(self) -> float:
        return time.time()


@contextmanager
def _running(argv: Sequence[str]) -> Iterator[int]:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
