"""One capture for several replications of the same roots: what changes is followed once, and told to each."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from dtesx.model.changes import Changes
from dtesx.replication.continuous.blurring import blur, weight
from dtesx.replication.continuous.consistent import Capture


class Shared:
    """Tells what ``capture`` tells to so many ``readers``, all of it to each; from any thread.

    What one reader was told waits for the others, in about ``limit`` bytes of memory for each at most:
    of what is more, less is known. That does not happen to readers that drain every few seconds.
    """

    def __init__(self, capture: Capture, roots: Iterable[str], number: int, limit: int) -> None:
        self._capture = capture
        self._roots = tuple(roots)
        self._limit = limit
        self._lock = threading.Lock()
        self.readers = tuple(Reader(self) for _ in range(number))

    def drain(self, reader: Reader, *, still: bool) -> dict[str, Changes]:
        """What changed since ``reader`` was told the last time."""
        with self._lock:
            found = self._capture.drain(still=still)
            for each in self.readers:
                each.keep(found, self._limit // len(self._roots))
            return reader.take()


class Reader:
    """One of those that a capture is shared by."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._closed = False
        self._kept: dict[str, Changes] = {}

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """See ``Capture``."""
        return self._shared.drain(self, still=still)

    def keep(self, found: dict[str, Changes], limit: int) -> None:
        """Add what was found, to be taken; ``limit`` is for each root."""
        if self._closed:
            return
        for root, some in found.items():
            kept = self._kept.setdefault(root, Changes())
            kept.add(some)
            if weight(kept) > limit:
                blur(kept, limit)

    def close(self) -> None:
        """Nothing more is to be told."""
        self._closed = True

    def take(self) -> dict[str, Changes]:
        """All that waits."""
        kept, self._kept = self._kept, {}
        return kept
