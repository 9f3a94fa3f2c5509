"""Services as processes of their own, ended by pid whatever happens."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Service:
    """A running service: its process, the port it told, and where it logs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def service(kind: str, state: Path, port: int = 0, *options: str) -> Iterator[Service]:
    """Run ``dtesx service KIND`` on 127.0.0.1 until the context ends."""
    argv = [sys.executable, "-m", "dtesx", "service", kind]
    argv += ["--address", "127.0.0.1", "--port", str(port), "--state", str(state), *options]
    log = state.with_suffix(".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=dict(os.environ)
        )
    try:
        line = first_line(process)
        assert line.startswith(f"dtesx {kind} ready on https://127.0.0.1:"), (line, log.read_text())
        yield Service(process, int(line.rsplit(":", 1)[1]), log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def first_line(process: subprocess.Popen[bytes], seconds: float = 30) -> str:
    """What a process says first; empty when it ended without a word."""
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    text = b""
    while not text.endswith(b"\n") and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            part = os.read(process.stdout.fileno(), 1)
            if not part:
                break
            text += part
    return text.decode().strip()
