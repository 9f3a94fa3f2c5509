"""Waiting, unless the service is told to end."""

from __future__ import annotations

import signal
import threading

from dtesx.base.errors import Interrupted


def stopped_by_signals() -> threading.Event:
    """What SIGTERM and SIGINT set from now on."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def wait_or_end(stop: threading.Event, seconds: float) -> None:
    """Wait; raises Interrupted when the target is told to end."""
    if stop.wait(seconds):
        raise Interrupted("the target is shutting down")
