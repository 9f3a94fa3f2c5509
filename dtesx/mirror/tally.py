"""Counting a mirror while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from dtesx.model.stats import MirrorStats, PathProblem

MAX_PROBLEMS = 1000
"""So many path problems are kept with their reason; the rest is only counted."""


def readable(path: bytes) -> str:
    """A path for people and JSON: bytes that are no UTF-8 as backslash escapes."""
    return path.decode(errors="backslashreplace")


class Tally:
    """Running counts; ``stats()`` is their present state. Files are all names but directories.

    Totals are what was counted before the mirror; found is what its own walk came across. ``failed``
    gets every path that has a problem.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        failed: Callable[[bytes], None] = lambda _path: None,
    ) -> None:
        self._failed = failed
        self.files_total = 0
        self.bytes_total = 0
        self.files_found = 0
        self.bytes_found = 0
        self.files_sent = 0
        self.bytes_sent = 0
        self.files_skipped = 0
        self.bytes_skipped = 0
        self.bytes_wire = 0
        self.orphans_removed = 0
        self.orphans_bytes = 0
        self.sockets_skipped = 0
        self.problems_total = 0
        self._clock = clock
        self._started = clock()
        self._problems: dict[str, PathProblem] = {}
        self._sent_before = (0, 0)
        self._kept_before = (0, 0)

    def problem(self, path: bytes, reason: str) -> None:
        """Note a path that could not be mirrored; the same path counts once."""
        self._failed(path)
        shown = readable(path)
        if shown in self._problems:
            return
        self.problems_total += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems[shown] = PathProblem(shown, reason)

    def unchanged(self, files: int, size: int) -> None:
        """Count a directory's files that need nothing at all."""
        self.files_found += files
        self.files_skipped += files
        self.bytes_found += size
        self.bytes_skipped += size

    def restart(self) -> None:
        """A new attempt at a root begins: what it will skip may be what an earlier attempt sent."""
        self._sent_before = (self.files_sent - self._kept_before[0], self.bytes_sent - self._kept_before[1])
        self.files_skipped, self.bytes_skipped = self._kept_skipped
        self.sockets_skipped = self._kept_sockets
        self.files_found, self.bytes_found = self._kept_found

    def settle(self) -> None:
        """A root is complete: its counts stand."""
        self.files_skipped, self.bytes_skipped = self._skipped()
        self._kept_skipped = (self.files_skipped, self.bytes_skipped)
        self._kept_before = (self.files_sent, self.bytes_sent)
        self._kept_sockets = self.sockets_skipped
        self._kept_found = (self.files_found, self.bytes_found)
        self._sent_before = (0, 0)

    def conclude(self) -> None:
        """All roots are complete, and their totals were not counted before: they are what was found."""
        self.files_total, self.bytes_total = self.files_found, self.bytes_found

    _kept_skipped = (0, 0)
    _kept_sockets = 0
    _kept_found = (0, 0)

    def _skipped(self) -> tuple[int, int]:
        kept_files, kept_bytes = self._kept_skipped
        return (
            kept_files + max(0, self.files_skipped - kept_files - self._sent_before[0]),
            kept_bytes + max(0, self.bytes_skipped - kept_bytes - self._sent_before[1]),
        )

    def stats(self) -> MirrorStats:
        """The counts now."""
        files_skipped, bytes_skipped = self._skipped()
        return MirrorStats(
            files_total=self.files_total,
            files_sent=self.files_sent,
            files_skipped=files_skipped,
            bytes_total=self.bytes_total,
            bytes_sent=self.bytes_sent,
            bytes_skipped=bytes_skipped,
            bytes_wire=self.bytes_wire,
            orphans_removed=self.orphans_removed,
            orphans_bytes=self.orphans_bytes,
            sockets_skipped=self.sockets_skipped,
            seconds=self._clock() - self._started,
            problems=tuple(self._problems.values()),
            problems_total=self.problems_total,
        )
