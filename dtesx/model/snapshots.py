"""Recovery points at set times."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.quantities import parse_duration, parse_moment

MIN_SECONDS = 600
"""VMware snapshots need time: the disks leave the appliance and come back."""

MAX_KEPT = 30
"""What dtesx keeps at most. vSphere takes 32 in a chain (VMware KB 1025279)."""

SCHEDULED = "taken at a set time"
"""The description by which such recovery points are known; others are removed by people alone."""


@dataclass(frozen=True)
class SnapshotSpec:
    """VMware snapshots that a job takes by itself: one ``every`` so often (empty: none), ``keep`` at a time.

    The first is taken at ``start``, a time of the appliance (empty: when the job is protected).
    """

    every: str = ""
    keep: int = 3
    start: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= MAX_KEPT:
            raise ValueError(f"keep: from 1 to {MAX_KEPT} snapshots")
        if self.start and not self.every:
            raise ValueError("start: needs `every`, such as 1h")
        if self.every and self._seconds() < MIN_SECONDS:
            raise ValueError(f"every: at least {MIN_SECONDS // 60} minutes")
        self._first()

    def due(self, now: float, last: float) -> bool:
        """Whether one is to be taken now, when the last was at ``last`` (Unix times, 0: never)."""
        return bool(self.every) and now >= self._first() and now - last >= self._seconds()

    def _seconds(self) -> int:
        try:
            return parse_duration(self.every)
        except ValueError as error:
            raise ValueError(f"every: {error}") from error

    def _first(self) -> float:
        try:
            return parse_moment(self.start).timestamp() if self.start else 0.0
        except ValueError as error:
            raise ValueError(f"start: {error}") from error
