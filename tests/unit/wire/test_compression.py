from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.model.mirror import Compression, LinkOptions
from dtesx.wire.compression import Compressor, unpack
from dtesx.wire.parts import FilePart, OpenFile


@pytest.mark.parametrize(("text", "level", "auto"), [("off", 0, False), ("auto", 1, True), ("19", 19, False)])
def test_what_a_user_may_ask_for(text: str, level: int, auto: bool) -> None:
    assert Compression.parse(text) == Compression(level, auto)
    assert bool(Compression.parse(text)) == (text != "off")


@pytest.mark.parametrize("text", ["", "0", "20", "-1", "best", "١"])
def test_what_nobody_may_ask_for(text: str) -> None:
    with pytest.raises(ValueError, match="compression"):
        Compression.parse(text)


@pytest.mark.parametrize(
    "options", [{"bandwidth": 100}, {"bandwidth": -1}, {"streams": 0}, {"streams": 17}, {"queue": 1}]
)
def test_impossible_links(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least|1 to"):
        LinkOptions(**options)  # type: ignore[arg-type]


def test_off_and_small_frames_stay_as_they_are() -> None:
    assert Compressor(Compression()).pack([bytes(10_000)]) is None
    assert Compressor(Compression(3)).pack([bytes(100)]) is None


def test_what_gains_too_little_stays_as_it_is() -> None:
    assert Compressor(Compression(3)).pack([os.urandom(100_000)]) is None
    mixed = os.urandom(95_000) + bytes(5_000)
    assert Compressor(Compression(3)).pack([mixed]) is None


def test_auto_looks_at_fewer_and_fewer_frames_that_do_not_shrink_and_comes_back() -> None:
    compressor = Compressor(Compression.parse("auto"))
    noise, text = os.urandom(200_000), b"words and words " * 10_000
    assert compressor.pack([text]) is not None
    assert all(compressor.pack([noise]) is None for _ in range(200))
    passed = 0
    while compressor.pack([text]) is None:
        passed += 1
    assert 0 < passed <= 64
    assert all(compressor.pack([text]) is not None for _ in range(10))


def test_auto_sees_what_only_the_end_holds() -> None:
    body = os.urandom(16_000) + b"words and words " * 20_000
    assert Compressor(Compression.parse("auto")).pack([body]) is not None


class _Counting(OpenFile):
    """An open file that counts the bytes that are read of it."""

    count = 0

    def read(self, buffer: memoryview, offset: int) -> None:
        self.count += len(buffer)
        super().read(buffer, offset)


@pytest.fixture
def file(tmp_path: Path) -> _Counting:
    (tmp_path / "file").write_bytes(os.urandom(300_000) + b"words and words " * 20_000)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        return _Counting(fd)
    finally:
        os.close(fd)


def test_auto_reads_of_a_file_only_what_it_looks_at(file: _Counting) -> None:
    compressor = Compressor(Compression.parse("auto"))
    noise = FilePart(file, 0, 300_000)
    assert all(compressor.pack([b"table", noise]) is None for _ in range(64))
    assert 0 < file.count < 300_000


@pytest.mark.parametrize("how", ["auto", "1"])
def test_a_part_of_a_file_is_compressed_as_what_it_holds(file: _Counting, how: str) -> None:
    words = FilePart(file, 300_000, 320_000)
    packed = Compressor(Compression.parse(how)).pack([b"table", words])
    assert packed is not None
    assert unpack(bytearray(packed), 320_005) == b"table" + b"words and words " * 20_000
