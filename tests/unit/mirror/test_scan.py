from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtesx.mirror.scan import WalkOptions, own_item
from dtesx.mirror.selection import select
from dtesx.mirror.walking import walk
from dtesx.model.rules import Rule, RuleType
from dtesx.wire.items import TEMPORARY_PREFIX


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def quiet(path: bytes, reason: str) -> None:
    raise AssertionError((path, reason))


def test_directories_come_parents_first_sorted_by_component(tmp_path: Path, root: int) -> None:
    for path in ("a/b/c", "a-b", "a/z", "B"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "a" / "file").write_bytes(b"123")
    (tmp_path / "link").symlink_to("a")
    events = []
    for visit in walk(root, WalkOptions(problem=quiet)):
        names = [item.name for item in visit.entries]
        events.append((visit.path, names if visit.entered else "left"))
    assert events == [
        (b"", [b"B", b"a", b"a-b", b"link"]),
        (b"B", []),
        (b"B", "left"),
        (b"a", [b"b", b"file", b"z"]),
        (b"a/b", [b"c"]),
        (b"a/b/c", []),
        (b"a/b/c", "left"),
        (b"a/b", "left"),
        (b"a/z", []),
        (b"a/z", "left"),
        (b"a", "left"),
        (b"a-b", []),
        (b"a-b", "left"),
        (b"", "left"),
    ]


def test_items_say_what_the_file_is(tmp_path: Path, root: int) -> None:
    (tmp_path / "f").write_bytes(b"123")
    os.chmod(tmp_path / "f", 0o640)
    os.utime(tmp_path / "f", ns=(1, 2_000_000_001))
    os.link(tmp_path / "f", tmp_path / "g")
    (tmp_path / "l").symlink_to("some where")
    visits = walk(root, WalkOptions(problem=quiet))
    file, other, link = list(next(visits).entries)
    assert (file.kind, file.permissions, file.size, file.mtime_ns) == (stat.S_IFREG, 0o640, 3, 2_000_000_001)
    assert file.link == other.link == (tmp_path / "f").stat().st_ino
    assert (link.kind, link.target, link.size, link.link) == (stat.S_IFLNK, b"some where", 0, 0)
    assert own_item(root).kind == stat.S_IFDIR


def test_what_is_skipped_is_hidden_not_absent(tmp_path: Path, root: int) -> None:
    for path in ("a/skip", "a/keep", "skip"):
        (tmp_path / path).mkdir(parents=True)
    seen = {}
    scope = select([Rule("a/skip", RuleType.EXCLUDE), Rule("/skip", RuleType.EXCLUDE)], "/")
    for visit in walk(root, WalkOptions(problem=quiet, scope=scope)):
        if visit.entered:
            seen[visit.path] = ([item.name for item in visit.entries], visit.hidden)
    assert seen == {b"": ([b"a"], {b"skip"}), b"a": ([b"keep"], {b"skip"}), b"a/keep": ([], set())}


def test_temporary_files_are_told_apart(tmp_path: Path, root: int) -> None:
    name = TEMPORARY_PREFIX + b"1.1"
    (tmp_path / os.fsdecode(name)).touch()
    found = []
    for visit in walk(root, WalkOptions(problem=quiet, reserved=lambda _fd, name: found.append(name))):
        assert list(visit.entries) == []
    assert found == [name]


def test_what_vanishes_is_gone_and_what_fails_is_hidden(
    tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "dir", "gone", "ok"):
        (tmp_path / name).mkdir()
    before = os.stat

    def failing(path: Any, **options: Any) -> object:
        if path == b"bad":
            raise OSError(5, "Input/output error")
        if path == b"gone":
            raise FileNotFoundError(2, "No such file or directory")
        return before(path, **options)

    monkeypatch.setattr("dtesx.mirror.scan.os.stat", failing)
    problems: list[tuple[bytes, str]] = []
    vanished: list[bytes] = []
    options = WalkOptions(problem=lambda *told: problems.append(told), vanished=vanished.append)
    visits = walk(root, options)
    first = next(visits)
    assert [item.name for item in first.entries] == [b"dir", b"ok"]
    assert first.hidden == {b"bad"}
    (tmp_path / "dir").rmdir()
    assert [visit.path for visit in visits if visit.entered] == [b"ok"]
    assert problems == [(b"bad", "Input/output error")]
    assert vanished == [b"dir"]


def test_an_abandoned_walk_closes_its_descriptors(tmp_path: Path, root: int) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    visits = walk(root, WalkOptions(problem=quiet))
    for visit in visits:
        list(visit.entries)
        if visit.path == b"a/b":
            break
    visits.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def deep(root: int) -> Iterator[int]:
    """How many directories, each with a file, are below one another."""
    depth = 5000
    fd = os.dup(root)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    yield depth
    for _ in range(depth):  # no remover of Python's gets down there
        above = os.open("..", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        os.unlink("f", dir_fd=above)
        os.rmdir("d", dir_fd=above)
        fd = above
    os.close(fd)


def test_a_deep_tree_takes_few_descriptors(root: int, deep: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    held = visited = files = 0
    left = []
    for visit in walk(root, WalkOptions(problem=quiet)):
        held = max(held, len(os.listdir("/proc/self/fd")) - before)
        if visit.entered:
            visited += 1
            files += sum(item.kind == stat.S_IFREG for item in visit.entries)
        else:
            left.append(len(visit.path))
            assert stat.S_ISDIR(os.fstat(visit.fd).st_mode)
    assert (visited, files) == (deep + 1, deep)
    assert held <= 64
    assert left == [*range(2 * deep - 1, 0, -2), 0]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_walk_finds_back_out_of_what_was_moved(tmp_path: Path, root: int, replaced: bool) -> None:
    tmp_path.joinpath("a", *["d"] * 100).mkdir(parents=True)
    for sibling in ("a/d/e", "a/e", "b"):
        (tmp_path / sibling).mkdir()
    problems: list[bytes] = []
    entered = []
    for visit in walk(root, WalkOptions(problem=lambda path, _reason: problems.append(path))):
        if not visit.entered:
            continue
        list(visit.entries)
        entered.append(visit.path)
        if visit.path == b"a" + b"/d" * 100:
            (tmp_path / "a" / "d").rename(tmp_path / "moved")
            if replaced:
                (tmp_path / "a").rename(tmp_path / "also-moved")
                (tmp_path / "a").mkdir()
    assert problems == ([b"a"] if replaced else [])
    assert entered[102:] == ([b"a/d/e", b"b"] if replaced else [b"a/d/e", b"a/e", b"b"])
