"""Continuous replication: how it is to be made, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.epoch import Epoch
from dtesx.model.stats import MirrorStats


class ReplicationPhase(StrEnum):
    """Where a replication stands."""

    CONNECTING = "connecting"
    MIRRORING = "mirroring"
    REPLICATING = "replicating"


@dataclass(frozen=True)
class ReplicationOptions:
    """How to replicate: an epoch every ``epoch`` seconds."""

    epoch: float = 2.0


@dataclass(frozen=True)
class ReplicationStatus:
    """Where a replication stands.

    ``epoch`` is the last one applied on the target; ``current`` (Unix seconds): the target has all
    that was written before. ``problem`` is what keeps it from going on.
    """

    phase: ReplicationPhase = ReplicationPhase.CONNECTING
    epoch: Epoch | None = None
    current: float = 0.0
    stats: MirrorStats = MirrorStats()
    problem: str = ""
