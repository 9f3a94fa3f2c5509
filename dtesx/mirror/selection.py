"""Rules compiled for a walk: what each directory's names are in the set, and where nothing is to be found.

The rules become one automaton that the walk drives name by name. A directory whose whole tree shares
one verdict has no scope any more, so most of a tree costs nothing.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from dtesx.model.rules import Rule, RuleType, effective


class Verdict(Enum):
    """Whether a name is in the set. EXCLUDED names are left alone on the target, OUTSIDE ones are orphans."""

    TAKEN = auto()
    EXCLUDED = auto()
    OUTSIDE = auto()


_VERDICT = {RuleType.INCLUDE: Verdict.TAKEN, RuleType.EXCLUDE: Verdict.EXCLUDED}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rules say about one name, by what it turns out to be.

    ``directory`` is TAKEN also where something below may be. ``below`` is the scope inside the
    directory; None: its verdict holds for everything below it. ``named``: an include rule without
    wildcards spells this name or something below it.
    """

    file: Verdict
    directory: Verdict
    below: Scope | None = None
    named: bool = False

    def verdict(self, mode: int) -> Verdict:
        """The verdict once the name's st_mode is known."""
        return self.directory if stat.S_ISDIR(mode) else self.file

    @property
    def nothing(self) -> bool:
        """Whether the name is out of the set whatever it is."""
        return self.file is not Verdict.TAKEN and self.directory is not Verdict.TAKEN

    @property
    def protected(self) -> bool:
        """Whether a name that is out of the set is left alone on the target."""
        return Verdict.EXCLUDED in (self.file, self.directory)


@dataclass(frozen=True, slots=True, eq=False)
class _Pattern:
    """A rule as names to match in turn: a text, an expression, or None for any number of directories.

    ``files``: it speaks of names that are no directories. The higher ``rank`` wins among rules that
    match the same name: spelled out before wildcards, more names before fewer, longer before
    shorter, not recursive before recursive, exclude before include.
    """

    parts: tuple[bytes | re.Pattern[str] | None, ...]
    type: RuleType
    recursive: bool
    files: bool
    literal: bool
    rank: tuple[bool, int, int, bool, bool]

    @property
    def verdict(self) -> Verdict:
        return _VERDICT[self.type]


@dataclass(frozen=True, slots=True)
class _Position:
    """``at`` names of ``pattern`` have been matched."""

    pattern: _Pattern
    at: int

    @property
    def complete(self) -> bool:
        return self.at == len(self.pattern.parts)

    @property
    def deep(self) -> bool:
        return not self.complete and self.pattern.parts[self.at] is None

    @property
    def on_the_way(self) -> bool:
        return self.pattern.type is RuleType.INCLUDE


def select(rules: Sequence[Rule], root: str) -> Scope | None:
    """The scope of the tree at the absolute path ``root``; None when all of it is in the set."""
    initial = Verdict.OUTSIDE if any(rule.type is RuleType.INCLUDE for rule in rules) else Verdict.TAKEN
    above = tuple(part for part in root.split("/") if part not in ("", "."))
    start = tuple(_Position(_compile(rule, above), 0) for rule in effective(rules))
    choice = _inside(start, initial, initial, named=False)
    for part in above:
        if choice.below is None:
            break
        choice = choice.below.choose(os.fsencode(part))
    scope = choice.below
    if scope is None and choice.directory is not Verdict.TAKEN:
        scope = Scope((), choice.directory, choice.directory)
    if scope is not None:
        scope.origin = (tuple(rules), root)
    return scope


class Scope:
    """The rules as they stand in one directory.

    ``files`` and ``directories`` are the verdicts on names that no rule matches by themselves.
    ``origin`` is what ``select`` made the scope of; None for the scope of a directory below.
    """

    origin: tuple[tuple[Rule, ...], str] | None = None

    def __init__(self, positions: tuple[_Position, ...], files: Verdict, directories: Verdict) -> None:
        self._positions = positions
        self._files = files
        self._directories = directories
        self._deep = tuple(position for position in positions if position.deep)
        self._spelled: dict[bytes, list[_Position]] = {}
        self._expressions: list[tuple[re.Pattern[str], _Position]] = []
        for position in positions:
            self._expect(position)

    @property
    def inside(self) -> tuple[Verdict, Verdict]:
        """The verdicts on files and directories that no rule matches by themselves."""
        return self._files, self._directories

    @property
    def nothing(self) -> bool:
        """Whether no name can be in the set here or below."""
        on_the_way = any(position.on_the_way for position in self._positions)
        return Verdict.TAKEN not in self.inside and not on_the_way

    @property
    def protects(self) -> bool:
        """Whether a name here or below may be excluded."""
        excluding = any(position.pattern.type is RuleType.EXCLUDE for position in self._positions)
        return excluding or Verdict.EXCLUDED in self.inside

    def _expect(self, position: _Position) -> None:
        pattern, at = position.pattern, position.at
        if position.deep:  # stands for no directory at all, too
            at += 1
        part = pattern.parts[at]
        after = _Position(pattern, at + 1)
        if isinstance(part, bytes):
            self._spelled.setdefault(part, []).append(after)
        else:
            assert part is not None
            self._expressions.append((part, after))

    def choose(self, name: bytes) -> Choice:
        """What the rules say about ``name`` in this directory."""
        reached = self._spelled.get(name, ())
        if self._expressions:
            text = os.fsdecode(name)
            matching = [after for expression, after in self._expressions if expression.match(text)]
            reached = (*reached, *matching)
        return self._chosen(reached) if reached else self._other

    @cached_property
    def _other(self) -> Choice:
        if self._deep == self._positions and self._files is self._directories:
            travels = self._directories is Verdict.TAKEN or any(p.on_the_way for p in self._deep)
            return Choice(self._files, Verdict.TAKEN if travels else self._directories, self)
        choice = _inside(self._deep, self._directories, self._directories, named=False)
        return Choice(self._files, choice.directory, choice.below)

    def _chosen(self, reached: Iterable[_Position]) -> Choice:
        positions = tuple(dict.fromkeys((*self._deep, *reached)))
        matched = [position.pattern for position in positions if position.complete]
        going = tuple(position for position in positions if not position.complete)
        best = _best(matched)
        whole = _best(pattern for pattern in matched if pattern.recursive)
        spelled = _best(pattern for pattern in matched if not pattern.files)
        directories = whole.verdict if whole else self._directories
        files = spelled.verdict if spelled else directories
        named = any(p.pattern.literal and p.on_the_way for p in (*going, *reached))
        choice = _inside(going, files, directories, named=named)
        return Choice(best.verdict if best else self._files, choice.directory, choice.below, named)


def _best(patterns: Iterable[_Pattern]) -> _Pattern | None:
    return max(patterns, key=lambda pattern: pattern.rank, default=None)


def _inside(going: tuple[_Position, ...], files: Verdict, directories: Verdict, *, named: bool) -> Choice:
    """The choice of a directory with these verdicts inside and these rules still to match."""
    done = [position.pattern for position in going if position.complete]
    if done:  # only at the start: a rule for / itself
        whole = _best(pattern for pattern in done if pattern.recursive)
        directories = whole.verdict if whole else directories
        spelled = _best(done)
        files = spelled.verdict if spelled else files
        going = tuple(position for position in going if not position.complete)
    travels = Verdict.TAKEN in (files, directories) or any(position.on_the_way for position in going)
    verdict = Verdict.TAKEN if travels else directories
    if files is directories and all(_idle(position.pattern, directories) for position in going):
        return Choice(files, verdict, None, named)
    return Choice(files, verdict, Scope(going, files, directories), named)


def _idle(pattern: _Pattern, verdict: Verdict) -> bool:
    """Whether a pattern changes nothing where ``verdict`` holds; one that may name a mount always does."""
    if pattern.verdict is not verdict:
        return False
    return not (pattern.type is RuleType.INCLUDE and pattern.literal)


def _compile(rule: Rule, above: tuple[str, ...]) -> _Pattern:
    names = rule.parts
    if rule.wildcards and names and names[-1] == "**":
        names = (*names[:-1], "*")
    leaf_wild = bool(names) and rule.is_wild(names[-1])
    if leaf_wild and rule.recursive and names[-2:-1] != ("**",):
        names = (*names[:-1], "**", names[-1])
    parts = [_part(rule, name) for name in names]
    if not rule.absolute:
        parts[:0] = map(os.fsencode, above)
    parts = [part for at, part in enumerate(parts) if part is not None or parts[at - 1 : at] != [None]]
    spelled = sum(isinstance(part, bytes) for part in parts)
    return _Pattern(
        parts=tuple(parts),
        type=rule.type,
        recursive=rule.recursive,
        files=leaf_wild and not rule.recursive,
        literal=not rule.wild,
        rank=(
            not rule.wild,
            spelled,
            len(rule.path),
            not rule.recursive,
            rule.type is RuleType.EXCLUDE,
        ),
    )


def _part(rule: Rule, name: str) -> bytes | re.Pattern[str] | None:
    if not rule.is_wild(name):
        return os.fsencode(name)
    return None if name == "**" else re.compile(fnmatch.translate(name))
