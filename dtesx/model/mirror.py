"""How a mirror is to be made: what is compared, what becomes of orphans, how data travel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.queue import QueueLimits
from dtesx.model.rules import Rule
from dtesx.model.transmission import Transmission, check_bandwidth


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


@dataclass(frozen=True)
class Compression:
    """Whether and how frames are compressed: ``level`` of zstd (1 to 19), 0 for not at all.

    ``auto`` compresses only what shrinks.
    """

    level: int = 0
    auto: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 19 or (self.auto and not self.level):
            raise ValueError(f"compression is off, auto or a level from 1 to 19, not {self.level}")

    def __bool__(self) -> bool:
        return self.level > 0

    @classmethod
    def parse(cls, text: str) -> Compression:
        """From ``off``, ``auto`` or a level; raises ValueError."""
        if text == "auto":
            return cls(1, auto=True)
        if text != "off" and not (text.isascii() and text.isdigit() and int(text)):
            raise ValueError(f"compression is off, auto or a level from 1 to 19, not {text!r}")
        return cls(0 if text == "off" else int(text))


MAX_STREAMS = 16
MIN_QUEUE = 32 << 20


@dataclass(frozen=True)
class LinkOptions:
    """How a source and a target are joined.

    ``bandwidth`` (bytes/s on the wire, 0 for no limit), ``streams`` parallel connections, ``tls``
    off for links that are trusted otherwise, ``queue`` (bytes) of what was sent and is not yet on
    the target's disk. With ``ahead`` a mirror runs ahead of its connections, into a queue of such
    limits. ``plan`` says when data travel at all; what has to wait is queued.
    """

    compress: Compression = Compression()
    bandwidth: int = 0
    streams: int = 1
    tls: bool = True
    queue: int = 128 << 20
    ahead: QueueLimits | None = None
    plan: Transmission | None = None

    def __post_init__(self) -> None:
        check_bandwidth(self.bandwidth)
        if not 1 <= self.streams <= MAX_STREAMS:
            raise ValueError(f"streams: 1 to {MAX_STREAMS}")
        if self.queue < MIN_QUEUE:
            raise ValueError(f"queue: at least {MIN_QUEUE >> 20} MiB")
