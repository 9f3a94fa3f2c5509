"""How much has arrived at a target and waits to be applied, against two marks."""

from __future__ import annotations

import os
import threading

from dtesx.model.target import TargetOptions


def memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Backlog:
    """What all sessions of a target hold together. For any threads.

    It is high from the high mark on until it falls below the low one. One session holds at most
    ``stream.MAX_HELD`` bytes; the marks count where many of them wait at once.
    """

    def __init__(self, options: TargetOptions) -> None:
        self._high_mark = memory() * options.memory_high // 100
        self._low_mark = memory() * options.memory_low // 100
        self._lock = threading.Lock()
        self._held: dict[object, int] = {}
        self._total = 0
        self._high = False

    def note(self, session: object, held: int) -> bool:
        """Note how many bytes a session holds now; tell whether all of them together are too many."""
        with self._lock:
            self._total += held - self._held.pop(session, 0)
            if held:
                self._held[session] = held
            self._high = self._total >= (self._low_mark if self._high else self._high_mark)
            return self._high
