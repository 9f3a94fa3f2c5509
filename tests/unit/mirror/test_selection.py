from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror.selection import Scope, Verdict, select
from dtesx.model.rules import Rule, RuleType, effective

INCLUDE, EXCLUDE = RuleType.INCLUDE, RuleType.EXCLUDE
TAKEN, EXCLUDED, OUTSIDE = Verdict.TAKEN, Verdict.EXCLUDED, Verdict.OUTSIDE


def include(path: str, *, recursive: bool = True, wildcards: bool = True) -> Rule:
    return Rule(path, INCLUDE, recursive, wildcards)


def exclude(path: str, *, recursive: bool = True, wildcards: bool = True) -> Rule:
    return Rule(path, EXCLUDE, recursive, wildcards)


def verdict(scope: Scope | None, path: str, *, directory: bool = False) -> Verdict:
    """What the walk that is led by ``scope`` makes of a path."""
    *above, last = path.strip("/").encode(errors="surrogateescape").split(b"/")
    for name in above:
        if scope is None:
            return TAKEN
        choice = scope.choose(name)
        if choice.below is None:
            return choice.directory
        scope = choice.below
    if scope is None:
        return TAKEN
    choice = scope.choose(last)
    return choice.directory if directory else choice.file


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), {"/a": TAKEN}),
        ((exclude("/a"),), {"/a": EXCLUDED, "/a/b/c": EXCLUDED, "/b": TAKEN, "/aa": TAKEN}),
        ((include("/a/b"),), {"/a/x": OUTSIDE, "/a/b": TAKEN, "/a/b/c/d": TAKEN, "/b": OUTSIDE}),
        ((include("/a", recursive=False),), {"/a": TAKEN, "/a/f": TAKEN, "/a/d/f": OUTSIDE}),
        ((exclude("/a", recursive=False),), {"/a": EXCLUDED, "/a/f": EXCLUDED, "/a/d/f": TAKEN}),
        (
            (include("/a"), exclude("/a/old"), include("/a/old/keep")),
            {"/a/f": TAKEN, "/a/old/f": EXCLUDED, "/a/old/keep/f": TAKEN},
        ),
        ((include("/a"), exclude("/a", recursive=False)), {"/a/f": EXCLUDED, "/a/d/f": TAKEN}),
        ((exclude("/a"), include("/a", recursive=False)), {"/a/f": TAKEN, "/a/d/f": EXCLUDED}),
        ((include("/a"), exclude("/a")), {"/a/f": EXCLUDED}),
        ((include("/"),), {"/a/b": TAKEN}),
        ((include("/", recursive=False),), {"/a": TAKEN, "/a/b": OUTSIDE}),
    ],
)
def test_paths(rules: Sequence[Rule], expected: dict[str, Verdict]) -> None:
    scope = select(rules, "/")
    assert {path: verdict(scope, path) for path in expected} == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((exclude("/a/*.tmp"),), {"/a/x.tmp": EXCLUDED, "/a/b/c/x.tmp": EXCLUDED, "/x.tmp": TAKEN}),
        ((exclude("/a/*.tmp", recursive=False),), {"/a/x.tmp": EXCLUDED, "/a/b/x.tmp": TAKEN}),
        ((exclude("/a/*.tmp"),), {"/a/d.tmp/f": EXCLUDED}),
        ((include("/a/*.doc"),), {"/a/x.doc": TAKEN, "/a/b/y.doc": TAKEN, "/a/x.txt": OUTSIDE}),
        ((include("/a/*", recursive=False),), {"/a/f": TAKEN, "/a/d/f": OUTSIDE}),
        ((include("/a/*"),), {"/a/f": TAKEN, "/a/d/f": TAKEN, "/b": OUTSIDE}),
        ((include("/a/**"),), {"/a/f": TAKEN, "/a/d/f": TAKEN, "/b": OUTSIDE}),
        ((exclude("/home/*/.cache"),), {"/home/u/.cache/x": EXCLUDED, "/home/u/d/.cache": TAKEN}),
        ((exclude("/s/**/cache"),), {"/s/cache": EXCLUDED, "/s/a/b/cache/f": EXCLUDED, "/cache": TAKEN}),
        ((exclude("/[ab]?"),), {"/ax": EXCLUDED, "/d/bx": EXCLUDED, "/cx": TAKEN, "/a": TAKEN}),
        ((exclude("/gr?ße"),), {"/größe": EXCLUDED, "/gr\udcffße": EXCLUDED, "/grße": TAKEN}),
        ((exclude("/a*", wildcards=False),), {"/a*": EXCLUDED, "/ab": TAKEN}),
        ((include("/a"), exclude("/*.tmp")), {"/a/x.tmp": EXCLUDED, "/a/x": TAKEN}),
        ((exclude("/*.log"), include("/a/b.log")), {"/a/b.log": TAKEN, "/a/c.log": EXCLUDED}),
        ((include("/*.log"), exclude("/debug-*.log")), {"/debug-1.log": EXCLUDED, "/1.log": TAKEN}),
    ],
)
def test_wildcards(rules: Sequence[Rule], expected: dict[str, Verdict]) -> None:
    scope = select(rules, "/")
    assert {path: verdict(scope, path) for path in expected} == expected


def test_directories_travel_where_something_below_may() -> None:
    scope = select([include("/var/lib/db"), exclude("/var/lib/db/tmp"), include("/home/*/mail")], "/")
    for path in ("/var", "/var/lib", "/var/lib/db", "/home", "/home/anyone"):
        assert verdict(scope, path, directory=True) is TAKEN
    for path in ("/var/log", "/srv", "/home/anyone/other"):
        assert verdict(scope, path, directory=True) is OUTSIDE
    assert verdict(scope, "/var/lib/db/tmp", directory=True) is EXCLUDED


def test_a_directory_whose_files_are_excluded_still_travels() -> None:
    scope = select([exclude("/a", recursive=False), exclude("/*.d", recursive=False)], "/")
    assert verdict(scope, "/a", directory=True) is TAKEN
    assert verdict(scope, "/x.d", directory=True) is TAKEN
    assert verdict(scope, "/x.d") is EXCLUDED


def test_rules_are_placed_in_the_tree_they_are_asked_for() -> None:
    rules = [exclude("/srv/data/tmp"), exclude("/*.bak"), exclude("cache"), exclude("/other")]
    scope = select(rules, "/srv/data")
    expected = {"/tmp/x": EXCLUDED, "/d/y.bak": EXCLUDED, "/cache": EXCLUDED, "/d/cache": TAKEN}
    assert {path: verdict(scope, path) for path in expected} == expected
    assert select([exclude("/other")], "/srv/data") is None
    assert verdict(select([exclude("/srv")], "/srv/data"), "/x") is EXCLUDED
    assert verdict(select([include("/other")], "/srv/data"), "/x") is OUTSIDE
    assert select([include("/srv")], "/srv/data") is None
    assert select([include(".")], "/srv/data") is None


def test_most_of_a_tree_has_no_scope() -> None:
    scope = select([include("/a"), exclude("/a/b")], "/")
    assert scope is not None
    assert scope.choose(b"x").below is None
    inside = scope.choose(b"a").below
    assert inside is not None
    assert inside.choose(b"b").below is None
    assert inside.choose(b"other").below is None


def test_a_rule_for_every_depth_takes_no_memory_for_it() -> None:
    scope = select([exclude("/*.tmp")], "/")
    assert scope is not None
    assert scope.choose(b"d").below is scope


def test_only_what_is_spelled_out_is_named() -> None:
    scope = select([include("/"), include("/mnt/disk"), include("/media/*")], "/")
    assert scope is not None
    mnt, media = scope.choose(b"mnt"), scope.choose(b"media")
    assert mnt.named
    assert mnt.below is not None
    assert mnt.below.choose(b"disk").named
    assert not mnt.below.choose(b"other").named
    assert media.below is None or not media.below.choose(b"disk").named


NAMES = st.sampled_from(["a", "b", "ab", "c.x", "d.x"])
PARTS = st.sampled_from(["a", "b", "ab", "a*", "*", "*.x", "?", "**"])
RULES = st.lists(
    st.builds(
        Rule,
        st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
        st.sampled_from(RuleType),
        st.booleans(),
        st.booleans(),
    ),
    max_size=4,
)
PATHS = st.lists(NAMES, min_size=1, max_size=4)


def expression(rule: Rule) -> str:
    """The rule's path as one regular expression over whole paths, written another way than the code's."""
    parts = list(rule.parts)
    if rule.wildcards and parts[-1] == "**":
        parts[-1] = "*"
    if rule.wildcards and rule.recursive and any(c in parts[-1] for c in "*?["):
        parts.insert(-1, "**")
    text = ""
    for part in parts:
        if not rule.wildcards:
            text += "/" + re.escape(part)
        elif part == "**":
            text += "(?:/[^/]+)*"
        else:
            text += "/" + fnmatch.translate(part)[4:-3].replace(".*", "[^/]*")
    return text


def rank(rule: Rule) -> tuple[object, ...]:
    wild = rule.wildcards and any(c in rule.path for c in "*?[")
    literal = [p for p in rule.parts if not (rule.wildcards and any(c in p for c in "*?["))]
    return (not wild, len(literal), len(rule.path), not rule.recursive, rule.type is EXCLUDE)


def oracle(rules: Sequence[Rule], path: list[str]) -> Verdict:
    """The verdict on a file, found from its deepest matching prefix."""
    for depth in range(len(path), -1, -1):
        prefix = "".join("/" + name for name in path[:depth])
        itself, parent = depth == len(path), depth == len(path) - 1
        speaking = []
        for rule in rules:
            files_only = not rule.recursive and rule.wildcards and any(c in rule.parts[-1] for c in "*?[")
            if not re.fullmatch(expression(rule), prefix):
                continue
            if itself or rule.recursive or (parent and not files_only):
                speaking.append(rule)
        if speaking:
            return TAKEN if max(speaking, key=rank).type is INCLUDE else EXCLUDED
    return OUTSIDE if any(rule.type is INCLUDE for rule in rules) else TAKEN


@settings(max_examples=1500)
@given(RULES, PATHS)
def test_the_deepest_match_decides(rules: list[Rule], path: list[str]) -> None:
    assert verdict(select(rules, "/"), "/".join(path)) is oracle(rules, path)


@settings(max_examples=500)
@given(RULES, PATHS)
def test_discarded_rules_change_nothing(rules: list[Rule], path: list[str]) -> None:
    assert oracle(effective(rules), path) is oracle(rules, path)


@settings(max_examples=500)
@given(RULES, PATHS, PATHS)
def test_a_subtree_is_ruled_as_in_the_whole(rules: list[Rule], root: list[str], path: list[str]) -> None:
    whole = verdict(select(rules, "/"), "/".join([*root, *path]))
    assert verdict(select(rules, "/" + "/".join(root)), "/".join(path)) is whole


@settings(max_examples=500)
@given(RULES, PATHS)
def test_nothing_that_is_taken_is_unreachable(rules: list[Rule], path: list[str]) -> None:
    if oracle(rules, path) is TAKEN:
        scope = select(rules, "/")
        for depth in range(1, len(path)):
            assert verdict(scope, "/".join(path[:depth]), directory=True) is TAKEN
