from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtesx.mirror.scan import Rules, own_item, walk
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
    for visit in walk(root, Rules(problem=quiet)):
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
    visits = walk(root, Rules(problem=quiet))
    file, other, link = list(next(visits).entries)
    assert (file.kind, file.permissions, file.size, file.mtime_ns) == (stat.S_IFREG, 0o640, 3, 2_000_000_001)
    assert file.link == other.link == (tmp_path / "f").stat().st_ino
    assert (link.kind, link.target, link.size, link.link) == (stat.S_IFLNK, b"some where", 0, 0)
    assert own_item(root).kind == stat.S_IFDIR


def test_what_is_skipped_is_hidden_not_absent(tmp_path: Path, root: int) -> None:
    for path in ("a/skip", "a/keep", "skip"):
        (tmp_path / path).mkdir(parents=True)
    seen = {}
    for visit in walk(root, Rules(problem=quiet, skip=frozenset({b"a/skip", b"skip"}))):
        if visit.entered:
            seen[visit.path] = ([item.name for item in visit.entries], visit.hidden)
    assert seen == {b"": ([b"a"], {b"skip"}), b"a": ([b"keep"], {b"skip"}), b"a/keep": ([], set())}


def test_temporary_files_are_told_apart(tmp_path: Path, root: int) -> None:
    name = TEMPORARY_PREFIX + b"1.1"
    (tmp_path / os.fsdecode(name)).touch()
    found = []
    for visit in walk(root, Rules(problem=quiet, leftover=lambda _fd, name: found.append(name))):
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
    problems = []
    visits = walk(root, Rules(problem=lambda path, reason: problems.append((path, reason))))
    first = next(visits)
    assert [item.name for item in first.entries] == [b"dir", b"ok"]
    assert first.hidden == {b"bad"}
    (tmp_path / "dir").rmdir()
    assert [visit.path for visit in visits if visit.entered] == [b"ok"]
    assert problems == [(b"bad", "Input/output error"), (b"dir", "No such file or directory")]


def test_an_abandoned_walk_closes_its_descriptors(tmp_path: Path, root: int) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    visits = walk(root, Rules(problem=quiet))
    for visit in visits:
        list(visit.entries)
        if visit.path == b"a/b":
            break
    visits.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before
