"""What a verification reports: the state of each name, and totals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.stats import MirrorStats, PathProblem


class FileState(StrEnum):
    """How a name stands between source and target. An ORPHAN exists on the target only."""

    SAME = "same"
    MISSING = "missing"
    DIFFERENT = "different"
    ORPHAN = "orphan"


class Aspect(StrEnum):
    """In what a name can differ."""

    KIND = "kind"
    SIZE = "size"
    MODIFIED = "modified"
    MODE = "mode"
    OWNER = "owner"
    ATTRIBUTES = "extended attributes"
    LINK_TEXT = "link text"
    DEVICE = "device number"
    HARD_LINKS = "hard links"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Difference:
    """One aspect as it is on the source and on the target, for people.

    Of DATA, the source's side says how much differs, and the target's is empty.
    """

    aspect: Aspect
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A name that is not the same on both sides, as it was when it was looked at.

    ``path`` is relative to the root of the replication set. ``size`` and ``modified`` (Unix seconds)
    are the source's, for orphans the target's. ``bytes_different`` are in blocks that differ, where
    contents were compared; else they are all of a file whose content is to be sent.
    """

    path: str
    kind: str
    state: FileState
    size: int = 0
    modified: float = 0.0
    bytes_different: int = 0
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class VerifyStats:
    """Totals of a verification. Names are files and directories; bytes are those of files.

    ``names_total`` and ``bytes_total`` are the source's and do not hold the orphans'.
    ``bytes_compared`` were compared as data, beyond their attributes.
    """

    names_total: int = 0
    same: int = 0
    missing: int = 0
    different: int = 0
    orphans: int = 0
    bytes_total: int = 0
    bytes_compared: int = 0
    bytes_different: int = 0
    orphan_bytes: int = 0
    sockets_skipped: int = 0
    seconds: float = 0.0
    problems: tuple[PathProblem, ...] = ()
    problems_total: int = 0

    @property
    def in_step(self) -> bool:
        """Whether the target has everything as the source has it, and nothing else."""
        return not (self.missing or self.different or self.orphans or self.problems_total)


@dataclass(frozen=True)
class VerifyLogOptions:
    """The verification log: its path before the set's name is put in, its longest length in bytes.

    Without ``append`` each verification starts the file anew.
    """

    path: str
    max_length: int = 1 << 20
    append: bool = True

    def __post_init__(self) -> None:
        if self.max_length < 1:
            raise ValueError("the log's length must be at least a byte")


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of a verification: its totals, the first 1000 findings, the log's path if any.

    ``remirror`` are the counts of the mirror that followed, if one did.
    """

    totals: VerifyStats
    findings: tuple[Finding, ...]
    log: str = ""
    remirror: MirrorStats | None = None
