"""What a kernel tells about changes, and what it keeps to itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rung(StrEnum):
    """How changes below a directory are found; the first that works is taken."""

    RANGES = "A"
    EVENTS = "B"
    SCANS = "C"


@dataclass(frozen=True)
class CaptureProbe:
    """What was found out about one directory's file system.

    ``reason`` says why it is no better ``rung``, ``hint`` what may help; both may be empty.
    ``blind`` lists changes that nothing is told of, or late.
    """

    path: str
    type: str
    rung: Rung
    reason: str
    hint: str
    blind: tuple[str, ...]


@dataclass(frozen=True)
class CaptureReport:
    """The findings on a machine that runs ``kernel``."""

    kernel: str
    probes: tuple[CaptureProbe, ...]


@dataclass(frozen=True)
class CaptureStatus:
    """How changes are found while a replication runs; the worst ``rung`` of all its roots.

    ``events`` were read from the kernel since the start; ``overflows`` counts how often it reported
    more than could be kept, so that all was compared.
    """

    rung: Rung = Rung.SCANS
    events: int = 0
    overflows: int = 0
