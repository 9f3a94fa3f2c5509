from __future__ import annotations

import stat

import pytest

from dtesx.mirror.protection import may_protect, protected, protection, scope_of
from dtesx.mirror.selection import select
from dtesx.model.rules import Rule, RuleType
from dtesx.wire.errors import ProtocolError
from dtesx.wire.operations import Protect, WireRule

FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


def exclude(path: str) -> Rule:
    return Rule(path, RuleType.EXCLUDE)


def test_nothing_is_told_where_nothing_is_excluded() -> None:
    assert protection(None) is None
    assert protection(select([Rule("a")], "/data")) is None
    assert protection(select([exclude("/elsewhere")], "/data")) is None


def test_the_target_knows_what_the_source_knows() -> None:
    scope = select([exclude("*.tmp"), exclude("/data/d/keep"), Rule("d"), Rule("d/keep/not")], "/data")
    told = protection(scope)
    assert told is not None
    is_protected = protected(told)
    assert [
        is_protected(path, FILE) for path in (b"d/x.tmp", b"d/a/b/\xff.tmp", b"d/keep/x", b"z/x.tmp")
    ] == [True] * 4
    assert [is_protected(path, FILE) for path in (b"d/x", b"x", b"d/keep/not", b"d/keep/not/x")] == [
        False
    ] * 4
    assert is_protected(b"d/a.tmp", DIRECTORY)
    assert not is_protected(b"d/keep", DIRECTORY)  # something in it is not


def test_only_directories_that_may_hold_protected_names_are_marked() -> None:
    scope = select([exclude("a/b/*.tmp")], "/data")
    assert may_protect(scope, b"a")
    assert not may_protect(scope, b"c")
    assert may_protect(scope_of(b"a", scope), b"b")
    assert not may_protect(scope_of(b"a", scope), b"c")
    assert not may_protect(scope_of(b"c/d", scope), b"e")
    assert not may_protect(None, b"a")


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolError):
        protected(Protect([WireRule(b"../x", False, True, True)], b"/data"))
