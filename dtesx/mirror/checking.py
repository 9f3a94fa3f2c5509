"""Checking a replication set against the tree it is meant for: what it reaches, and which rules are odd."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from dtesx.mirror.mounts import mounts_below
from dtesx.mirror.scan import WalkOptions
from dtesx.mirror.selection import Choice, Scope, Verdict, select
from dtesx.mirror.walking import walk
from dtesx.model.repset import RuleFinding, RuleFlaw, SetReport
from dtesx.model.rules import ReplicationSet, Rule, covering

_TAKEN, _OUTSIDE = Verdict.TAKEN, Verdict.OUTSIDE


def check(
    replication_set: ReplicationSet, root: int, path: str, pause: Callable[[], None] = lambda: None
) -> SetReport:
    """Check a set against the tree behind ``root`` (a directory descriptor) at the absolute ``path``.

    ``pause`` is called at every directory and may raise to stop.
    """
    rules = replication_set.rules
    findings: dict[int, RuleFinding] = {}
    for at, (flaw, reason) in _evident(rules, path):
        findings[at] = RuleFinding(at + 1, str(rules[at]), flaw, reason)
    silent = {at: rule for at, rule in enumerate(rules) if at not in findings}
    mounts = mounts_below(root)
    for at in _ineffective(silent, rules, root, path, pause):
        if not _names_mount(rules[at], path, mounts):
            reason = "without it, the same names are in the set"
            findings[at] = RuleFinding(at + 1, str(rules[at]), RuleFlaw.INEFFECTIVE, reason)
    for at, finding in list(findings.items()):
        if finding.flaw is RuleFlaw.OVERLAPPING and _names_mount(rules[at], path, mounts):
            del findings[at]
    return SetReport(
        replication_set.name,
        replication_set.generation,
        selects(root, select(rules, path), pause),
        tuple(findings[at] for at in sorted(findings)),
    )


def selects(root: int, scope: Scope | None, pause: Callable[[], None] = lambda: None) -> bool:
    """Whether anything of the tree behind ``root`` is in the set; directories on the way do not count.

    Reads no more of the tree than it must.
    """
    if scope is None or _TAKEN in scope.inside:
        return True
    for visit in walk(root, WalkOptions(problem=_nobody, scope=scope, xattrs=False)):
        pause()
        for item in visit.entries:
            if visit.scope is None or item.kind != stat.S_IFDIR:
                return True
            if _TAKEN in _inside(visit.scope.choose(item.name)):
                return True
    return False


def _nobody(_path: bytes, _reason: str) -> None:
    """What cannot be read is for the mirror to tell."""


def _inside(choice: Choice) -> tuple[Verdict, Verdict]:
    return choice.below.inside if choice.below is not None else (choice.directory, choice.directory)


def _evident(rules: Sequence[Rule], path: str) -> Iterator[tuple[int, tuple[RuleFlaw, str]]]:
    """Flaws that need no look at the tree."""
    for at, rule in enumerate(rules):
        cover = covering(rule, rules)
        if rule in rules[:at]:
            yield at, (RuleFlaw.DISCARDED, f"it repeats rule {rules.index(rule) + 1}")
        elif _outside(rule, path):
            yield at, (RuleFlaw.OUTSIDE, f"it is not about {path}")
        elif cover is not None and not rule.recursive:
            yield at, (RuleFlaw.DISCARDED, f"rule {rules.index(cover) + 1} says it already")
        elif cover is not None:
            yield at, (RuleFlaw.OVERLAPPING, f"rule {rules.index(cover) + 1} says it already")


def _outside(rule: Rule, path: str) -> bool:
    scope = select([rule], path)
    return scope is None if rule.type is rule.type.EXCLUDE else scope is not None and scope.nothing


def _names_mount(rule: Rule, path: str, mounts: frozenset[bytes]) -> bool:
    """Whether a rule spells out the way into another file system: that alone is its effect, then."""
    if rule.wild or rule.type is rule.type.EXCLUDE:
        return False
    names = rule.parts
    if rule.absolute:
        names = names[len([part for part in path.split("/") if part]) :]
    ways = {os.fsencode("/".join(names[: count + 1])) for count in range(len(names))}
    return not ways.isdisjoint(mounts)


def _ineffective(
    suspects: dict[int, Rule], rules: Sequence[Rule], root: int, path: str, pause: Callable[[], None]
) -> set[int]:
    """Those suspects without which the verdict on every name of the tree is the same."""
    left = set(suspects)
    without = {at: _start([other for other in rules if other != rules[at]], path) for at in left}
    probe = _Probe(_start(rules, path), without, left)
    probe.compare_inside()
    if not left:
        return left
    for visit in walk(root, WalkOptions(problem=_nobody, scope=probe, xattrs=False)):
        pause()
        for item in visit.entries:
            if isinstance(visit.scope, _Probe):
                visit.scope.compare(item.name, item.mode)
        if not left:
            break
    return left


def _start(rules: Sequence[Rule], path: str) -> Scope:
    scope = select(rules, path)
    return scope if scope is not None else Scope((), _TAKEN, _TAKEN)


class _Probe(Scope):
    """Leads a walk to where a set and the same set without one of its rules may differ.

    ``left`` are the rules of which no effect was seen yet; it is shared by all probes of a walk.
    """

    def __init__(self, whole: Scope, without: dict[int, Scope], left: set[int]) -> None:
        super().__init__((), _TAKEN, _TAKEN)
        self._whole = whole
        self._without = without
        self._left = left

    def choose(self, name: bytes) -> Choice:
        whole = self._whole.choose(name)
        others = {at: scope.choose(name) for at, scope in self._without.items() if at in self._left}
        differing = {
            at: _scope(other)
            for at, other in others.items()
            if not (other.below is None and whole.below is None and other.directory is whole.directory)
        }
        # A symlink that a rule goes through is followed where it is not taken itself.
        file = whole.file if whole.named else _TAKEN
        below = _Probe(_scope(whole), differing, self._left)
        return Choice(file, _TAKEN if differing else _OUTSIDE, below, whole.named)

    def compare(self, name: bytes, mode: int) -> None:
        """Take out of ``left`` the rules that make a difference about ``name``."""
        whole = self._whole.choose(name)
        for at in self._left & self._without.keys():
            other = self._without[at].choose(name)
            files = whole.file is not other.file
            if _inside(whole) != _inside(other) if stat.S_ISDIR(mode) else files:
                self._left.discard(at)

    def compare_inside(self) -> None:
        """The same about the directory itself."""
        self._left -= {at for at, scope in self._without.items() if scope.inside != self._whole.inside}


def _scope(choice: Choice) -> Scope:
    return choice.below if choice.below is not None else Scope((), choice.directory, choice.directory)
