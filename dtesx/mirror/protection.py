"""Names that rules exclude are left alone on the target, inside orphans, too: how it gets to know them."""

from __future__ import annotations

import os
from collections.abc import Callable

from dtesx.mirror.selection import Scope, Verdict, select
from dtesx.model.rules import Rule, RuleType
from dtesx.wire.errors import ProtocolError
from dtesx.wire.operations import Protect, WireRule

_CACHED = 1024


def protection(scope: Scope | None) -> Protect | None:
    """What the target is to be told about the scope of a whole tree; None when nothing is protected."""
    if scope is None or scope.origin is None or not scope.protects:
        return None
    rules, root = scope.origin
    told = [
        WireRule(os.fsencode(rule.path), rule.type is RuleType.INCLUDE, rule.recursive, rule.wildcards)
        for rule in rules
    ]
    return Protect(told, os.fsencode(root))


def may_protect(scope: Scope | None, name: bytes) -> bool:
    """Whether a directory ``name`` that is an orphan may hold protected names."""
    below = scope.choose(name).below if scope is not None else None
    return below is not None and below.protects


def scope_of(directory: bytes, scope: Scope | None) -> Scope | None:
    """The scope of a directory below that of a whole tree."""
    for name in directory.split(b"/") if directory else ():
        scope = scope.choose(name).below if scope is not None else None
    return scope


def protected(told: Protect) -> Callable[[bytes, int], bool]:
    """Tells of a path below the root, with its st_mode, whether it is protected with all that is below.

    Raises ProtocolError when the rules are none.
    """
    try:
        rules = [
            Rule(
                os.fsdecode(rule.path),
                RuleType.INCLUDE if rule.include else RuleType.EXCLUDE,
                rule.recursive,
                rule.wildcards,
            )
            for rule in told.rules
        ]
    except ValueError as error:
        raise ProtocolError(f"a rule that is none: {error}") from error
    return Protected(select(rules, os.fsdecode(told.root))).is_protected


class Protected:
    """What ``scope``, that of a whole tree, protects of it (None: nothing)."""

    def __init__(self, scope: Scope | None) -> None:
        self._root = scope
        self._scopes: dict[bytes, Scope | Verdict] = {}

    def is_protected(self, path: bytes, mode: int) -> bool:
        """Whether a path below the root is protected, with all that is below it."""
        directory, _, name = path.rpartition(b"/")
        state = self._state(directory)
        verdict = state.choose(name).verdict(mode) if isinstance(state, Scope) else state
        return verdict is Verdict.EXCLUDED

    def _state(self, directory: bytes) -> Scope | Verdict:
        """The scope of a directory, or the verdict on all that is in it."""
        if (known := self._scopes.get(directory)) is not None:
            return known
        state: Scope | Verdict = self._root if self._root is not None else Verdict.TAKEN
        for name in directory.split(b"/") if directory else ():
            if not isinstance(state, Scope):
                break
            choice = state.choose(name)
            state = choice.below if choice.below is not None else choice.directory
        if len(self._scopes) >= _CACHED:
            self._scopes.clear()
        self._scopes[directory] = state
        return state
