"""What a mirror reports: its counts, and the paths it could not mirror."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathProblem:
    """A path that could not be mirrored, and why. Collected and shown; it never ends a job."""

    path: str
    reason: str


@dataclass(frozen=True)
class MirrorStats:
    """Counts of one mirror. Files are all names but directories.

    ``bytes_skipped`` are bytes that needed no sending (unchanged files, holes), so sent and skipped
    add up to the total; ``bytes_wire`` includes framing, before TLS; ``orphans_bytes`` are what the
    orphans held that went. ``problems`` holds the first 1000 of ``problems_total`` paths.
    """

    files_total: int = 0
    files_sent: int = 0
    files_skipped: int = 0
    bytes_total: int = 0
    bytes_sent: int = 0
    bytes_wire: int = 0
    orphans_removed: int = 0
    sockets_skipped: int = 0
    seconds: float = 0.0
    problems: tuple[PathProblem, ...] = ()
    bytes_skipped: int = 0
    problems_total: int = 0
    orphans_bytes: int = 0
