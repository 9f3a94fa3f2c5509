"""How a mirror is to be made: what is compared, what becomes of orphans, how data travel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.rules import Rule


class Compare(StrEnum):
    """Which files a mirror sends.

    NONE sends all of them, ATTRIBUTES those whose size or times differ, DATA compares every block
    of every file. With the last two, a file that differs travels as its differing blocks.
    """

    NONE = "none"
    ATTRIBUTES = "attributes"
    DATA = "data"


class OrphanAction(StrEnum):
    """What becomes of files that only the target has."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


@dataclass(frozen=True)
class OrphanPolicy:
    """``older_than`` (seconds) spares orphans that were modified more recently; 0 spares none.

    ``move_to`` names a directory below ``NAME.orphans``, which the target keeps beside the replica NAME.
    """

    action: OrphanAction = OrphanAction.DELETE
    older_than: float = 0.0
    move_to: str = ""

    def __post_init__(self) -> None:
        if self.older_than < 0:
            raise ValueError("orphans: the age must not be negative")
        if (self.action is OrphanAction.MOVE) != bool(self.move_to):
            raise ValueError("orphans: a directory to move to belongs to `move`, and to nothing else")


@dataclass(frozen=True)
class MirrorOptions:
    """How one tree is made equal to another, as far as ``rules`` select it.

    ``newer_only`` sends a file only when the source's is newer; ``remap_links`` rewrites symlinks
    that point into the replication set so that they point into the replica; ``in_place`` writes
    changed blocks into the replica's file itself instead of a copy that takes its place.
    """

    compare: Compare = Compare.ATTRIBUTES
    rules: tuple[Rule, ...] = ()
    newer_only: bool = False
    orphans: OrphanPolicy = OrphanPolicy()
    remap_links: bool = False
    in_place: bool = False
