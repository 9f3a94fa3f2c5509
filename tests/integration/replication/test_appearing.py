"""When names appear on the target: only when what they stand for is whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest

from dtesx.apply.applying import Applier
from dtesx.wire.items import TEMPORARY_PREFIX, Item
from dtesx.wire.operations import Begin, Data, End, Enter, Finish, Link, Make, Operation, Put

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("either")]


class Target:
    """An applier on an empty directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[tuple[bytes, str]] = []
        fd = os.open(path, os.O_RDONLY)
        self.applier = Applier(
            fd,
            lambda path, reason: self.problems.append((path, reason)),
            hold=_never,
            beside=_never,
            protection=_never,
            adopt=_never,
        )
        os.close(fd)

    def apply(self, *operations: Operation, blob: bytes = b"") -> list[str]:
        """Apply one frame; returns the names that can be seen afterwards."""
        self.applier.apply([*operations], memoryview(blob))
        return self.seen()

    def seen(self) -> list[str]:
        names = (str(path.relative_to(self.path)) for path in self.path.rglob("*"))
        return sorted(name for name in names if TEMPORARY_PREFIX.decode() not in name)


def _never(*_: object) -> Never:
    raise AssertionError("nothing is to be held, nothing to be moved")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.applier.close()


def _file(name: bytes, size: int = 1) -> Item:
    return Item(name, stat.S_IFREG | 0o644, 0, 0, 1, size)


def _directory(name: bytes) -> Item:
    return Item(name, stat.S_IFDIR | 0o755, 0, 0, 1)


def test_a_new_directory_appears_with_its_files(target: Target) -> None:
    assert target.apply(Enter(b""), Make(_directory(b"d")), Make(_directory(b"e"))) == []
    assert target.apply(Enter(b"d"), Put(_file(b"a"), 0), Make(_directory(b"sub")), blob=b"x") == []
    assert target.apply(Enter(b"d"), Put(_file(b"b"), 0), blob=b"x") == []
    assert target.apply(Enter(b"d/sub"), Put(_file(b"c"), 0), blob=b"x") == ["d", "d/a", "d/b"]
    assert target.apply(Enter(b"d/sub"), Finish(_directory(b""))) == ["d", "d/a", "d/b", "d/sub", "d/sub/c"]
    target.apply(Enter(b"d"), Finish(_directory(b"")), Enter(b"e"), Finish(_directory(b"")))
    assert target.seen() == ["d", "d/a", "d/b", "d/sub", "d/sub/c", "e"]
    assert list(target.path.glob(".*")) == []
    assert (target.problems, (target.path / "d").stat().st_mtime_ns) == ([], 1)


def test_a_directory_that_stays_long_appears_meanwhile(target: Target) -> None:
    target.apply(Enter(b""), Make(_directory(b"d")))
    frames = 0
    while not target.apply(Enter(b"d"), Put(_file(b"%d" % frames), 0), blob=b"x"):
        frames += 1
        assert frames < 100
    assert len(target.seen()) > frames


def test_a_hard_link_finds_a_file_that_is_not_seen_yet(target: Target) -> None:
    target.apply(Enter(b""), Make(_directory(b"d")), Enter(b"d"), Put(_file(b"a"), 0), blob=b"x")
    target.apply(Enter(b"d"), Link(b"b", b"d/a"), Finish(_directory(b"")))
    assert (target.path / "d" / "a").stat().st_nlink == 2
    assert target.problems == []


def test_a_file_in_pieces_appears_at_its_end(target: Target) -> None:
    assert target.apply(Begin(b"f"), Data(0, 3), blob=b"abc") == []
    assert target.apply(Data(3, 3), blob=b"def") == []
    assert target.apply(End(_file(b"f", 6), 0)) == ["f"]
    assert (target.path / "f").read_bytes() == b"abcdef"


def test_a_broken_session_leaves_whole_files_to_be_found(target: Target) -> None:
    target.apply(Enter(b""), Make(_directory(b"d")), Enter(b"d"), Put(_file(b"a"), 0), blob=b"x")
    target.applier.close()
    assert target.seen() == ["d", "d/a"]
    target.applier = Target(target.path).applier


def test_a_name_taken_behind_our_back_is_a_problem(target: Target) -> None:
    target.apply(Enter(b""), Make(_directory(b"d")), Enter(b"d"), Put(_file(b"a"), 0), blob=b"x")
    (target.path / "d").mkdir()
    (target.path / "d" / "precious").touch()
    target.apply(Enter(b""), Put(_file(b"f"), 0), blob=b"x")
    assert [path for path, _ in target.problems] == [b"d"]
    assert target.seen() == ["d", "d/precious", "f"]
