"""What is told about a replication set: its size, and what is odd about its rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RuleFlaw(StrEnum):
    """Why a rule does not do what one might think.

    DISCARDED: repeated, or not recursive below a recursive one of its type. OVERLAPPING: recursive
    below another one of its type that takes or keeps out the same. OUTSIDE: it speaks of names
    outside the source tree. INEFFECTIVE: without it, exactly the same names are in the set.
    """

    DISCARDED = "discarded"
    OVERLAPPING = "overlapping"
    OUTSIDE = "outside"
    INEFFECTIVE = "ineffective"


@dataclass(frozen=True)
class RuleFinding:
    """A flaw of the rule that is number ``number`` (from 1) in its set, and the reason for it."""

    number: int
    rule: str
    flaw: RuleFlaw
    reason: str


@dataclass(frozen=True)
class SetReport:
    """What a check of a set against a tree found. ``selects``: anything of the tree is in the set."""

    name: str
    generation: int
    selects: bool
    findings: tuple[RuleFinding, ...]


@dataclass(frozen=True)
class SetSize:
    """What a set selects: names that are no directories, and the bytes of the files among them.

    ``seconds`` is how long it took to count.
    """

    name: str
    generation: int
    files: int
    bytes: int
    seconds: float
