"""Epochs: numbered batches of changes, each of which a target applies whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta


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


@dataclass(frozen=True)
class InsertedTask:
    """Asks for the task ``name`` (model.tasks) when an epoch is applied.

    ``id`` is this request's alone, however often it is sent.
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    name: Annotated[str, Meta(max_length=255)]


@dataclass(frozen=True)
class KeptEpoch:
    """A whole epoch that waits on a target to be applied; ``size`` is what it takes there, in bytes.

    ``tasks`` run then.
    """

    epoch: Epoch
    size: int
    tasks: tuple[InsertedTask, ...] = ()


class QueueAction(StrEnum):
    """What is to be done with the epochs that wait on a target."""

    SHOW = "show"
    APPLY = "apply"
    DISCARD = "discard"


@dataclass(frozen=True)
class QueueOrder:
    """What is to be done with the epochs that wait at the place ``name``.

    APPLY: apply those up to the number ``through`` (None: all of them). With ``consistent`` up to the last
    one that is not fuzzy, and discard what came after it. DISCARD: forget those after ``through``
    (None: all of them).
    """

    action: QueueAction
    name: str = ""
    through: int | None = None
    consistent: bool = False


@dataclass(frozen=True)
class TargetQueue:
    """What waits on a target: ``applied`` is the last epoch that was applied to the replica."""

    applied: Epoch | None
    waiting: tuple[KeptEpoch, ...]
