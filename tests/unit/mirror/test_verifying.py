from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.mirror.scan import WalkOptions, own_item
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.verifying import Totals, TreeVerify
from dtesx.mirror.walking import walk
from dtesx.model.rules import Rule, RuleType
from dtesx.model.verify import Aspect, FileState, Finding, VerifyStats
from dtesx.wire.messages import Directory


def listing(root: Path, *, parts: int = 2) -> Iterator[Directory]:
    """What a target would send, each directory cut into pieces of ``parts`` names."""
    fd = os.open(root, os.O_RDONLY)
    own = own_item(fd)
    for visit in walk(fd, WalkOptions(problem=lambda path, reason: pytest.fail(f"{path!r}: {reason}"))):
        if visit.entered:
            items = list(visit.entries)
            for start in range(0, max(1, len(items)), parts):
                yield Directory(visit.path, items[start : start + parts], own if not visit.path else None)
    os.close(fd)


def verify(source: Path, target: Path, scope: Scope | None = None) -> tuple[list[Finding], VerifyStats]:
    found: list[Finding] = []
    totals = Totals()
    fd = os.open(source, os.O_RDONLY)
    TreeVerify(fd, listing(target), totals, report=found.append, scope=scope).run()
    os.close(fd)
    return found, totals.stats()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for directory in ("a/deep", "b", "c"):
        (root / directory).mkdir(parents=True)
    for name in ("1", "a/2", "a/deep/3", "b/4", "c/5"):
        (root / name).write_text(name)
        os.utime(root / name, ns=(1, 10**18))
    for directory in ("a/deep", "a", "b", "c", "."):
        os.utime(root / directory, ns=(1, 10**18))
    return root


@pytest.fixture
def target(tmp_path: Path, source: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "target", copy_function=shutil.copy2))


def test_equal_trees_are_in_step(source: Path, target: Path) -> None:
    found, stats = verify(source, target)
    assert found == []
    assert stats.in_step
    assert (stats.names_total, stats.same) == (10, 10)
    assert stats.bytes_total == sum(len(name) for name in ("1", "a/2", "a/deep/3", "b/4", "c/5"))


def test_states(source: Path, target: Path) -> None:
    (target / "1").write_text("changed")
    (target / "a/2").unlink()
    (target / "c/orphan").write_text("12345")
    os.chmod(target / "b/4", 0o600)
    for directory in ("a", "c", "."):
        os.utime(target / directory, ns=(1, 10**18))
    found, stats = verify(source, target)
    assert [(finding.path, finding.state) for finding in found] == [
        ("1", FileState.DIFFERENT),
        ("a/2", FileState.MISSING),
        ("b/4", FileState.DIFFERENT),
        ("c/orphan", FileState.ORPHAN),
    ]
    assert [difference.aspect for difference in found[0].differences] == [Aspect.SIZE, Aspect.MODIFIED]
    assert [difference.aspect for difference in found[2].differences] == [Aspect.MODE]
    assert (stats.same, stats.missing, stats.different, stats.orphans) == (7, 1, 2, 1)
    assert (stats.bytes_different, stats.orphan_bytes) == (1 + 3, 5)
    assert not stats.in_step


def test_everything_below_an_orphan_is_an_orphan(source: Path, target: Path) -> None:
    for name in ("b/x/y", "b/x/y/z", "zz"):
        (target / name).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            (target / name / f"f{number}").write_text("1234")
    (target / "1").unlink()
    (target / "1").mkdir()
    (target / "1/inside").write_text("56")
    found, stats = verify(source, target)
    orphans = [finding.path for finding in found if finding.state is FileState.ORPHAN]
    files = [f"{name}/f{number}" for name in ("b/x/y", "b/x/y/z", "zz") for number in range(3)]
    assert sorted(orphans) == sorted(["1/inside", "b/x", "b/x/y", "b/x/y/z", "zz", *files])
    assert stats.orphan_bytes == 9 * 4 + 2


def test_missing_directories_are_reported_with_all_that_is_in_them(source: Path, target: Path) -> None:
    shutil.rmtree(target / "a")
    found, _ = verify(source, target)
    assert {finding.path for finding in found if finding.state is FileState.MISSING} == {
        "a",
        "a/2",
        "a/deep",
        "a/deep/3",
    }


def test_excluded_names_are_neither_missing_nor_orphans(source: Path, target: Path) -> None:
    (target / "a/2").write_text("other")
    (target / "b/only-here").write_text("x")
    os.utime(target / "b", ns=(1, 10**18))
    found, _ = verify(
        source,
        target,
        scope=select([Rule("/a/2", RuleType.EXCLUDE), Rule("/b/only-here", RuleType.EXCLUDE)], "/"),
    )
    assert found == []


def test_hard_links(source: Path, target: Path) -> None:
    os.link(source / "1", source / "linked")
    (target / "linked").write_text("1")
    os.utime(target / "linked", ns=(1, 10**18))
    for root in (source, target):
        os.utime(root, ns=(1, 10**18))
    found, stats = verify(source, target)
    assert [(f.path, [d.aspect for d in f.differences]) for f in found] == [("linked", [Aspect.HARD_LINKS])]
    assert stats.bytes_different == 1


def test_the_root_directory_itself_is_verified(source: Path, target: Path) -> None:
    os.chmod(target, 0o700)
    found, _ = verify(source, target)
    assert [(f.path, f.kind, [d.aspect for d in f.differences]) for f in found] == [
        ("", "directory", [Aspect.MODE])
    ]
