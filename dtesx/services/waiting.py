"""Waiting, unless the service is told to end."""

from __future__ import annotations

import threading

from dtesx.base.errors import Interrupted


def wait_or_end(stop: threading.Event, seconds: float) -> None:
    """Wait; raises Interrupted when the target is told to end."""
    if stop.wait(seconds):
        raise Interrupted("the target is shutting down")
