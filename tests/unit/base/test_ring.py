from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.ring import Ring, read


def record(number: int) -> bytes:
    return number.to_bytes(4, "little")


def fill(path: Path, numbers: range) -> None:
    ring = Ring(path, 256, 4)
    try:
        for number in numbers:
            ring.add(record(number))
    finally:
        ring.close()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_the_latest_are_there_in_order_over_restarts(counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path, done = Path(directory, "ring"), 0
        for count in counts:
            fill(path, range(done, done + count))
            done += count
            assert path.stat().st_size <= 256
            assert read(path, 4) == [record(n) for n in range(max(0, done - 15), done)]


@pytest.mark.parametrize("at", range(16 * 5, 16 * 6))
def test_a_record_that_is_not_whole_is_not_there(tmp_path: Path, at: int) -> None:
    path = tmp_path / "ring"
    fill(path, range(20))
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    held = read(path, 4)
    assert held == sorted(held)
    assert len(held) == 14
    fill(path, range(20, 30))
    assert read(path, 4)[-10:] == [record(n) for n in range(20, 30)]


def test_what_is_no_ring_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    path.write_bytes(b"something else" * 100)
    assert read(path, 4) == []
    fill(path, range(3))
    assert read(path, 4) == [record(n) for n in range(3)]
    assert read(path, 5) == []  # records of another size
    assert read(tmp_path / "none", 4) == []
