"""What a check found: a sentence for people, an id for programs, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters: an error keeps something from working, a warning may surprise."""

    ERROR = "error"
    WARNING = "warning"
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``id`` (``network.card-missing``) stays the same over versions."""

    id: str
    level: Level
    message: str
    remedy: str = ""
