"""A service as a process: alone in its state directory, ready when it says so, stopped by a signal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.locks import exclusive


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the lock of a state directory; Conflict when another service has it."""
    taken = Conflict(
        f"another dtesx service uses {state}",
        hint="stop that one first, or give this one another state directory",
    )
    with exclusive(state / "service.lock", taken):
        yield


@contextmanager
def stop_signals() -> Iterator[int]:
    """Route SIGTERM and SIGINT to a pipe; yields its reading end, for ``wait_for_stop``.

    A pipe, since a signal handler may not take the lock of an Event that the main thread holds.
    """
    reader, writer = os.pipe()
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {n: signal.signal(n, lambda *_: _write(writer)) for n in numbers}
    try:
        yield reader
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def wait_for_stop(reader: int) -> None:
    """Block until the process is asked to stop."""
    os.read(reader, 1)


def say_ready(service: str, address: str, port: int) -> None:
    """Print the one line by which scripts know that a service answers."""
    host = f"[{address}]" if ":" in address else address
    sys.stdout.write(f"dtesx {service} ready on https://{host}:{port}\n")
    sys.stdout.flush()


def _write(fd: int) -> None:
    os.write(fd, b"s")
