from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError
from dtesx.wire.frames import HEADER_SIZE, FrameType, encode, weigh
from dtesx.wire.parts import FilePart, OpenFile


@pytest.fixture
def file(tmp_path: Path) -> OpenFile:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    fd = os.open(path, os.O_RDONLY)
    try:
        return OpenFile(fd)
    finally:
        os.close(fd)


def failing(*_arguments: object) -> int:
    raise OSError(5, "Input/output error")


def test_a_part_is_read_anew_each_time_and_as_long_as_it_was(file: OpenFile, tmp_path: Path) -> None:
    part = FilePart(file, 10, 50)
    assert (len(part), bytes(part)) == (50, bytes(range(10, 60)))
    (tmp_path / "file").write_bytes(b"x" * 30)
    assert bytes(part) == b"x" * 20 + bytes(30)
    assert file.error is None


def test_what_cannot_be_read_is_remembered_while_it_can_be_taken_back(
    file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = FilePart(file, 0, 8)
    monkeypatch.setattr(os, "preadv", failing)
    assert bytes(part) == bytes(8)
    assert file.error is not None
    file.told = True
    with pytest.raises(DtesxError, match="sent again cannot be read"):
        bytes(part)


def test_the_file_is_open_as_long_as_a_part_of_it_may_travel(
    tmp_path: Path, count_open: Callable[[], int]
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    before = count_open()
    with (tmp_path / "file").open("rb") as opened:
        parts = [FilePart(OpenFile(opened.fileno()), 0, 7)]
    assert count_open() == before + 1
    assert bytes(parts[0]) == b"content"
    parts.clear()
    assert count_open() == before


@pytest.fixture
def count_open() -> Callable[[], int]:
    gc.collect()
    return lambda: len(os.listdir("/proc/self/fd"))


def test_small_pieces_travel_together_and_large_ones_alone(file: OpenFile) -> None:
    part, large = FilePart(file, 0, 10), bytes(100_000)
    parts, weight = encode(FrameType.OPERATIONS, 1, b"t", [b"a", b"b", large, b"c", part, b"d"])
    assert [len(piece) for piece in parts[1:]] == [100_000, 1, 10, 1]
    assert parts[1] is large
    assert weigh(sum(map(len, parts)) - HEADER_SIZE) == weight
