from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.mirror.checking import check, selects
from dtesx.mirror.selection import select
from dtesx.model.repset import SetReport
from dtesx.model.rules import ReplicationSet, Rule, RuleType


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    for name in ("a/b/file", "a/1.tmp", "a/c/deep/2.tmp", "d/x.doc", "d/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "through").symlink_to("d")
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def include(path: str, *, recursive: bool = True) -> Rule:
    return Rule(path, RuleType.INCLUDE, recursive)


def exclude(path: str, *, recursive: bool = True) -> Rule:
    return Rule(path, RuleType.EXCLUDE, recursive)


def checked(root: int, *rules: Rule) -> SetReport:
    return check(ReplicationSet("set", rules=rules), root, "/data")


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ((), {}),
        ((include("a"), exclude("a/b")), {}),
        ((include("/data/a"), exclude("/data/a/*.tmp")), {}),
        ((include("a"), include("a")), {2: "discarded"}),
        ((include("a"), include("a/b", recursive=False)), {2: "discarded"}),
        ((include("a"), include("a/b")), {2: "overlapping"}),
        ((exclude("a"), exclude("a/b"), include("a/b/file")), {2: "overlapping"}),
        ((include("a"), exclude("a/b"), include("a/b/file")), {}),
        ((exclude("/etc"), exclude("a")), {1: "outside"}),
        ((include("/data2"), include("a")), {1: "outside"}),
        ((include("/"), include("a")), {2: "ineffective"}),
        ((include("a"), include("a/typo")), {2: "overlapping"}),
        ((include("a/b"), include("a/typo")), {2: "ineffective"}),
        ((include("a/*.typo"), include("d")), {1: "ineffective"}),
        ((exclude("d/*.doc"), exclude("typo/*.doc")), {2: "ineffective"}),
        ((exclude("*.doc"), exclude("d/*.doc")), {1: "ineffective", 2: "ineffective"}),
        ((include("a"), exclude("d")), {}),
        ((include("a"), exclude("typo")), {2: "ineffective"}),
        ((include("empty"),), {}),
        ((include("a"), include("through/x.doc")), {}),
        ((include("a"), include("through/y.doc")), {2: "ineffective"}),
        ((include("a", recursive=False), include("a/c/*", recursive=False)), {2: "ineffective"}),
        ((exclude("/data"), include("a")), {}),
    ],
)
def test_odd_rules_are_told(root: int, rules: tuple[Rule, ...], found: dict[int, str]) -> None:
    report = checked(root, *rules)
    assert {finding.number: finding.flaw.value for finding in report.findings} == found
    assert report.selects


@pytest.mark.parametrize(
    ("rules", "selected"),
    [
        ((), True),
        ((exclude("a"),), True),
        ((exclude("/"),), False),
        ((include("/elsewhere"),), False),
        ((include("a/typo"),), False),
        ((include("*/typo"), include("typo/*")), False),
        ((include("empty"),), True),
        ((include("empty/*"),), False),
        ((include("d/*.doc"),), True),
        ((include("**/2.tmp"),), True),
        ((include("**/3.tmp"),), False),
        ((include("d/*.doc"), exclude("d/x.doc")), False),
        ((include("through/x.doc"),), True),
        ((include("through/y.doc"),), False),
    ],
)
def test_a_set_may_select_nothing(root: int, rules: tuple[Rule, ...], selected: bool) -> None:
    assert selects(root, select(rules, "/data")) is selected
    assert checked(root, *rules).selects is selected
