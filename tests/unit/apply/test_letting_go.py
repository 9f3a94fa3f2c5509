from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dtesx.apply.errors import persist
from dtesx.apply.letting_go import all_gone, let_go


def opened(path: Path, size: int) -> int:
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, size)
    return fd


def test_a_file_that_keeps_its_name_and_a_small_one_are_closed_at_once(tmp_path: Path) -> None:
    named, small = opened(tmp_path / "named", 1 << 30), opened(tmp_path / "small", 100)
    os.unlink(tmp_path / "small")
    for fd in (named, small):
        let_go(fd)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
    assert not all_gone()


def test_a_large_one_without_a_name_is_closed_in_the_end(tmp_path: Path) -> None:
    fd = opened(tmp_path / "large", 1 << 30)
    os.unlink(tmp_path / "large")
    let_go(fd)
    assert all_gone()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert not all_gone()


def test_what_finds_no_room_is_tried_again_at_once_when_a_file_was_let_go(tmp_path: Path) -> None:
    fd = opened(tmp_path / "large", 1 << 30)
    os.unlink(tmp_path / "large")
    let_go(fd)
    done: list[str] = []
    full = OSError(errno.ENOSPC, "No space left on device")
    assert persist(lambda: done.append("done"), full, "x", lambda *_: pytest.fail("it waited")) is None
    assert done == ["done"]
    holds: list[str] = []
    assert persist(lambda: done.append("again"), full, "x", lambda _, why: holds.append(why)) is None
    assert holds == ["x: No space left on device"]
