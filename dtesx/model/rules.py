"""Replication sets: which names of a source belong to what is mirrored, as rules that people write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_RULE = 259
"""Characters that a rule's path may have."""

_ILLEGAL = frozenset('.?<>:"/\\*|')
_MAX_NAME = 255
_WILD = frozenset("*?[")
_HERE = ",nonrec"


class RuleType(StrEnum):
    """Whether a rule takes names into the set or keeps them out of it."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True)
class Rule:
    """One rule. A relative ``path`` starts at the directory that is mirrored.

    ``recursive``: the rule holds for everything below the directory, too; otherwise for its files
    alone. With ``wildcards``, ``*``, ``?`` and ``[...]`` match within a name, and ``**`` stands for any
    number of directories; a recursive rule whose last name has a wildcard matches it at every depth.
    """

    path: str
    type: RuleType = RuleType.INCLUDE
    recursive: bool = True
    wildcards: bool = True

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path: a rule needs one; / stands for the whole tree")
        if len(self.path) > MAX_RULE:
            raise ValueError(f"path: a rule may have {MAX_RULE} characters, this one has {len(self.path)}")
        if "\0" in self.path or ".." in self.path.split("/"):
            raise ValueError(f"path: {self.path!r} must not contain .. or a zero byte")

    @property
    def absolute(self) -> bool:
        """Whether the path starts at the source's root."""
        return self.path.startswith("/")

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's names."""
        return tuple(part for part in self.path.split("/") if part not in ("", "."))

    @property
    def wild(self) -> bool:
        """Whether the path matches more than the one name that it spells."""
        return any(self.is_wild(part) for part in self.parts)

    def is_wild(self, part: str) -> bool:
        """Whether a part of the path contains a wildcard."""
        return self.wildcards and not _WILD.isdisjoint(part)

    def __str__(self) -> str:
        kind = "inc" if self.type is RuleType.INCLUDE else "exc"
        return f"{self.path} {kind}, {'rec' if self.recursive else 'nonrec'}"


@dataclass(frozen=True)
class ReplicationSet:
    """A named list of rules. ``generation`` counts how often it was saved.

    Without an include rule the whole tree is in the set. The order of the rules means nothing.
    """

    name: str
    generation: int = 0
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        check_set_name(self.name)
        if self.generation < 0:
            raise ValueError("generation: must not be negative")


def check_set_name(name: str) -> str:
    """The name, if a replication set or its location on a target may have it; else ValueError."""
    if not name.strip() or len(name.encode(errors="surrogateescape")) > _MAX_NAME:
        raise ValueError(f"name: {name[:40]!r} must have 1 to {_MAX_NAME} bytes")
    found = sorted({char for char in name if char in _ILLEGAL or not char.isprintable()})
    if found:
        raise ValueError(f"name: {name!r} contains what no set's name may: {' '.join(map(repr, found))}")
    return name


def written(text: str, type_: RuleType) -> Rule:
    """The rule that a path on a command line stands for; ``,nonrec`` at its end: not recursive."""
    return Rule(text.removesuffix(_HERE), type_, recursive=not text.endswith(_HERE))


def effective(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules without repetitions and without those that a recursive one of the same type covers.

    A rule that is not recursive is discarded when it lies below such a rule, unless a rule of the
    other type could come between the two.
    """
    distinct = tuple(dict.fromkeys(rules))
    return tuple(rule for rule in distinct if not _covered(rule, distinct))


def _covered(rule: Rule, rules: Sequence[Rule]) -> bool:
    return not rule.recursive and covering(rule, rules) is not None


def covering(rule: Rule, rules: Sequence[Rule]) -> Rule | None:
    """A recursive rule of the same type that says all that ``rule`` says; None when there is none."""
    covers = [other for other in rules if other.type is rule.type and other.recursive and other != rule]
    others = [other for other in rules if other.type is not rule.type]
    for cover in covers:
        if _above(cover, rule) and not any(_between(other, cover, rule) for other in others):
            return cover
    return None


def _above(cover: Rule, rule: Rule) -> bool:
    shared = rule.parts[: len(cover.parts)]
    return (
        cover.absolute == rule.absolute
        and cover.parts == shared
        and not cover.wild
        and not any(rule.is_wild(part) for part in shared)
    )


def _between(other: Rule, cover: Rule, rule: Rule) -> bool:
    """Whether ``other`` may decide about names that ``cover`` and ``rule`` both speak of."""
    if other.wild or rule.wild or other.absolute != rule.absolute:
        return True
    return len(other.parts) >= len(cover.parts) and rule.parts[: len(other.parts)] == other.parts
