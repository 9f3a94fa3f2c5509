"""What came of a source's operations: counted, and told to it."""

from __future__ import annotations

from collections.abc import Callable

from dtesx.apply.workplace import Counts
from dtesx.model.stats import MirrorStats
from dtesx.wire.messages import Report

REASON = 300
"""Bytes of a reason that travel."""

_PATH = 16 << 10
_REPORT = 256 << 10


class Outcome:
    """The outcome of one stream; ``counts`` gives what was carried out, a root each."""

    def __init__(self, counts: Callable[[], list[Counts]]) -> None:
        self._counts = counts
        self._problems: list[tuple[bytes, str]] = []
        self._total = 0
        self._size = 0
        self._removed = (0, 0)

    @property
    def much(self) -> bool:
        """Whether what was not told yet is so much that it should be."""
        return self._size >= _REPORT

    def problem(self, path: bytes, reason: str) -> None:
        """Something could not be done about a path."""
        self._problems.append((path[:_PATH], reason[:REASON]))
        self._total += 1
        self._size += len(path[:_PATH]) + len(reason[:REASON])

    def report(self) -> Report | None:
        """What came of it since the last report; None when there is nothing to tell."""
        counts = self._counts()
        names, size = sum(count.removed for count in counts), sum(count.removed_bytes for count in counts)
        gone = names - self._removed[0], size - self._removed[1]
        if not self._problems and gone == (0, 0):
            return None
        problems, self._problems, self._removed, self._size = self._problems, [], (names, size), 0
        return Report(problems, *gone)

    def stats(self, wire: int) -> MirrorStats:
        """All of it, with the bytes that travelled."""
        counts = self._counts()
        return MirrorStats(
            files_sent=sum(count.files for count in counts),
            bytes_sent=sum(count.content_bytes for count in counts),
            bytes_wire=wire,
            orphans_removed=self._removed[0],
            orphans_bytes=self._removed[1],
            problems_total=self._total,
        )
