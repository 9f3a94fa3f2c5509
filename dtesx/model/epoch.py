"""Epochs: numbered batches of changes, each of which a target applies whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EpochKind(StrEnum):
    """What an epoch's edge is worth.

    FUZZY: read while the source went on, so files may be of slightly different moments. CRASH: all of
    it is of one moment, as after a power cut. APPLICATION: of one moment, for which the
    applications had been prepared.
    """

    FUZZY = "fuzzy"
    CRASH = "crash-consistent"
    APPLICATION = "application-consistent"


@dataclass(frozen=True)
class Epoch:
    """A batch of changes.

    ``taken`` is Unix seconds of the source's clock: all that was written before is in it.
    """

    number: int
    kind: EpochKind
    taken: float
