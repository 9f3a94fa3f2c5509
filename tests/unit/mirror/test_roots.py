from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.errors import RootReplaced
from dtesx.mirror.roots import Watch, file_system, is_empty, look
from dtesx.mirror.selection import select
from dtesx.model.rules import Rule, RuleType


@contextmanager
def opened(path: str | Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_root_is_known_by_what_it_is(tmp_path: Path) -> None:
    for name in ("one", "two", "skipped", "lost+found"):
        (tmp_path / name).mkdir()
    rules = (Rule("skipped", RuleType.EXCLUDE), Rule("one/below", RuleType.EXCLUDE))
    with opened(tmp_path) as fd:
        root = look(fd, str(tmp_path), select(rules, str(tmp_path)))
        assert (root.path, root.inode, root.names) == (str(tmp_path), tmp_path.stat().st_ino, 2)
        assert root.file_system == file_system(fd)
    with opened("/proc") as other:
        assert file_system(other) != root.file_system


def test_directories_of_one_file_system_agree(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with opened(tmp_path) as one, opened(tmp_path / "sub") as two:
        assert file_system(one) == file_system(two)


def test_any_bytes_make_a_path() -> None:
    with opened("/") as fd:
        assert look(fd, "/srv/\udcff").path == "/srv/\\xff"


def test_what_makes_a_replica_empty(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".dtesx-tmp.1").touch()
    with opened(tmp_path) as fd:
        assert is_empty(fd)
        (tmp_path / "file").touch()
        assert not is_empty(fd)


def test_a_root_that_is_renamed_under_way(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    now = [0.0]
    with opened(root) as fd:
        watch = Watch(opened, str(root), fd, clock=lambda: now[0])
        watch.check()
        root.rename(elsewhere)
        root.mkdir()
        watch.check_now_and_then()
        now[0] = 1.1
        with pytest.raises(RootReplaced):
            watch.check_now_and_then()
        root.rmdir()
        elsewhere.rename(root)
        watch.check()
