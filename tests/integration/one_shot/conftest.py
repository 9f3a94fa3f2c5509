"""A target as a process, and the commands that use it, as processes too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.services.process import first_line

DTESX = (sys.executable, "-m", "dtesx")


@dataclass
class Site:
    """A directory with a source tree, and a target that can be started on it."""

    root: Path
    port: int = 0
    targets: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def state(self) -> Path:
        return self.root / "target-state"

    @property
    def token(self) -> Path:
        return self.state / "token"

    @property
    def log(self) -> str:
        return (self.root / "target.log").read_text()

    def url(self, name: str = "www") -> str:
        return f"dtesx://127.0.0.1:{self.port}/{name}"

    def dtesx(self, *arguments: object, client: str = "client") -> subprocess.CompletedProcess[str]:
        """Run a one-shot command with a state directory of its own."""
        return subprocess.run(
            [*DTESX, *map(str, arguments), "--state", str(self.root / client)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def paired(self, *arguments: object, client: str = "client") -> subprocess.CompletedProcess[str]:
        return self.dtesx(*arguments, "--token-file", self.token, client=client)

    def start(
        self, *options: str, data: Path | None = None, state: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a target on the port of the one before, if there was one, and wait until it listens."""
        argv = [*DTESX, "target", "--listen", f"127.0.0.1:{self.port}"]
        argv += ["--data", str(data or self.data), "--state", str(state or self.state), *options]
        with (self.root / "target.log").open("ab") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=dict(os.environ)
            )
        self.targets.append(process)
        line = first_line(process)
        assert line.startswith("dtesx target listening on 127.0.0.1:"), (line, self.log)
        address, _, token = line.removeprefix("dtesx target listening on ").partition(", token in ")
        assert token == str(state or self.state) + "/token"
        self.port = int(address.rpartition(":")[2])
        return process

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the latest target; its exit status."""
        process = self.targets.pop()
        process.send_signal(number)
        status = process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        return status

    def differences(self, name: str = "www", *options: str) -> str:
        """What rsync would still do to make the replica equal to the source."""
        argv = ["rsync", "-aHAXn", "--delete", "--itemize-changes", *options]
        argv += [f"{self.source}/", f"{self.data / name}/"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@contextmanager
def ended(site: Site) -> Iterator[Site]:
    try:
        yield site
    finally:
        for process in site.targets:
            process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Site]:
    """A site with a small source tree and no target yet."""
    site = Site(tmp_path)
    (site.source / "sub").mkdir(parents=True)
    (site.source / "file").write_bytes(b"hello\n")
    (site.source / "sub" / "large").write_bytes(os.urandom(600_000))
    (site.source / "link").symlink_to("file")
    os.link(site.source / "file", site.source / "sub" / "hard")
    with ended(site):
        yield site


@pytest.fixture
def site(idle: Site) -> Site:
    """The site, with a target that listens."""
    idle.start()
    return idle
