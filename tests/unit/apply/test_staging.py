from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.apply.staging import Staging
from dtesx.wire.sums import Basis

BASIS = Basis(1, 100, 5)
KEY = (0, b"dir", b"name")


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    with opened(tmp_path) as fd:
        yield fd


@pytest.fixture
def old(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "old").write_bytes(b"o" * 100)
    with opened(tmp_path / "old") as fd:
        yield fd


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_parts_go_to_the_file_that_is_adopted_before_and_after_it_is(here: int, old: int) -> None:
    staging = Staging()
    assert not staging.data(KEY, 0, memoryview(b"early"))
    staging.begin(KEY, here, old, BASIS)
    assert staging.data(KEY, 2, memoryview(b"two"))
    staged = staging.adopt(KEY, BASIS)
    assert staging.data(KEY, 7, memoryview(b"seven"))
    assert os.pread(staged.fd, 20, 0) == b"\0\0two\0\0seven"
    staging.clear()
    os.fstat(staged.fd)
    staged.close()
    assert not staging.data(KEY, 12, memoryview(b"late"))


def test_nothing_is_left_of_what_nobody_adopts(tmp_path: Path, here: int, old: int) -> None:
    before = descriptors()
    staging = Staging()
    for number in range(100):
        staging.begin((0, b"", b"%d" % number), here, old, BASIS)
    assert descriptors() == before + 64
    staging.drop((0, b"", b"7"))
    assert descriptors() == before + 63
    assert sorted(os.listdir(tmp_path)) == ["old"]
    staging.clear()
    assert descriptors() == before


def test_a_file_in_another_state_is_not_to_be_had(here: int, old: int) -> None:
    staging = Staging()
    staging.begin(KEY, here, old, BASIS)
    assert staging.adopt(KEY, Basis(1, 100, 6)).fd < 0
    staging.clear()


def test_what_was_begun_without_it_is_not_staged_any_more(here: int, old: int) -> None:
    staging = Staging()
    nothing = staging.adopt(KEY, BASIS)
    assert nothing.fd < 0
    staging.begin(KEY, here, old, BASIS)
    assert not staging.data(KEY, 0, memoryview(b"x"))
    nothing.close()
    staging.begin(KEY, here, old, BASIS)
    assert staging.data(KEY, 0, memoryview(b"x"))
    staging.clear()


def test_a_file_that_is_compared_once_more_while_it_is_still_made(here: int, old: int) -> None:
    staging, before = Staging(), descriptors()
    staging.begin(KEY, here, old, BASIS)
    first = staging.adopt(KEY, BASIS)
    staging.drop(KEY)
    staging.begin(KEY, here, old, BASIS)
    first.close()
    assert staging.data(KEY, 0, memoryview(b"x"))
    staging.clear()
    assert descriptors() == before
