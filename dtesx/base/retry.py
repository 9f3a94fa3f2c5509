"""Waiting and trying again, with the clock passed in so that tests need none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Capped exponential delays in seconds: ``first``, doubled up to ``cap``, at most ``tries``."""

    first: float = 0.2
    cap: float = 10.0
    tries: int = 8

    def delays(self) -> Iterator[float]:
        """One delay before each retry (so ``tries`` attempts give ``tries - 1`` delays)."""
        delay = self.first
        for _ in range(self.tries - 1):
            yield delay
            delay = min(self.cap, delay * 2)


def wait_until(
    ready: Callable[[], bool],
    *,
    timeout: float,
    interval: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Poll ``ready`` until it is true or ``timeout`` seconds passed; tell which."""
    deadline = clock() + timeout
    while not ready():
        if clock() >= deadline:
            return False
        sleep(interval)
    return True
