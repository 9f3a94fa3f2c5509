from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.apply.staging import Staging
from dtesx.mirror.data_check import Compared, DataCheck
from dtesx.mirror.scan import Visit, WalkOptions
from dtesx.mirror.sums import BLOCK, SEGMENT, Summer
from dtesx.mirror.walking import walk
from dtesx.mirror.window import Asker
from dtesx.replication.summing import Summing
from dtesx.wire.items import Item
from dtesx.wire.sums import Sums, SumsRequest


class Target:
    """Answers as a target does, from a real directory; ``late`` answers only when waited for."""

    summer = Summer(b"")

    def __init__(self, root: Path, *, late: bool = False) -> None:
        self._fd = os.open(root, os.O_RDONLY)
        self.summing = Summing(lambda _root: self._fd, self.summer, Staging())
        self._late = late
        self.asker = Asker(0, self.summer, self.ask, self.answer)

    def ask(self, request: SumsRequest) -> None:
        assert not request.stage
        assert not request.chunks
        self.summing.ask(request)

    def answer(self, wait: bool) -> Sums | None:
        if self._late and not wait:
            return None
        return self.summing.answer()

    def close(self) -> None:
        self.summing.close()
        os.close(self._fd)


def compare(source: Path, target: Path, *, late: bool = False) -> dict[bytes, Compared]:
    found: dict[bytes, Compared] = {}
    there = Target(target, late=late)
    check = DataCheck(there.asker, pause=lambda: None)
    root = os.open(source, os.O_RDONLY)
    for visit in walk(root, WalkOptions(problem=lambda path, reason: pytest.fail(f"{path!r}: {reason}"))):
        if visit.entered:
            for item in visit.entries:
                add(check, visit, item, target, found)
    check.settle()
    check.close()
    os.close(root)
    there.close()
    return found


def add(check: DataCheck, visit: Visit, item: Item, target: Path, found: dict[bytes, Compared]) -> None:
    size = os.stat(os.fsencode(target) + b"/" + item.name).st_size
    other = Item(item.name, item.mode, 0, 0, 0, size)
    check.add(visit, item, other, lambda compared, name=item.name: found.__setitem__(name, compared))  # type: ignore[misc]


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    return source, target


@pytest.mark.parametrize("late", [False, True])
def test_blocks_that_differ_are_counted(trees: tuple[Path, Path], late: bool) -> None:
    source, target = trees
    data = os.urandom(SEGMENT + 3 * BLOCK + 100)
    changed = bytearray(data)
    for offset in (0, 5, BLOCK - 1, 2 * BLOCK, SEGMENT + BLOCK, len(data) - 1):
        changed[offset] ^= 1
    (source / "f").write_bytes(data)
    (target / "f").write_bytes(changed)
    (source / "same").write_bytes(data)
    (target / "same").write_bytes(data)
    found = compare(source, target, late=late)
    assert found[b"f"] == Compared(len(data), 3 * BLOCK + 100)
    assert found[b"same"] == Compared(len(data), 0)


def test_many_files_at_once(trees: tuple[Path, Path]) -> None:
    source, target = trees
    for number in range(150):
        (source / f"{number}").write_bytes(os.urandom(300_000))
        (target / f"{number}").write_bytes((source / f"{number}").read_bytes())
    found = compare(source, target, late=True)
    assert set(found.values()) == {Compared(300_000, 0)}
    assert len(found) == 150


def test_holes_and_their_contents(trees: tuple[Path, Path]) -> None:
    source, target = trees
    for root, island in ((source, b"x"), (target, b"y")):
        with (root / "sparse").open("wb") as file:
            file.seek(1 << 20)
            file.write(island * BLOCK)
            file.truncate(64 << 20)
    with (target / "zeros").open("wb") as file:
        file.write(bytes(BLOCK))
    with (source / "zeros").open("wb") as file:
        file.truncate(BLOCK)
    found = compare(source, target)
    assert found[b"zeros"] == Compared(0, 0)
    assert found[b"sparse"] == Compared(BLOCK, BLOCK)


def test_what_the_shorter_one_does_not_have_differs(trees: tuple[Path, Path]) -> None:
    source, target = trees
    data = os.urandom(2 * SEGMENT)
    (source / "f").write_bytes(data)
    (target / "f").write_bytes(data[:SEGMENT])
    assert compare(source, target)[b"f"] == Compared(2 * SEGMENT, SEGMENT)


def test_a_file_that_vanished_on_the_target_is_told(trees: tuple[Path, Path]) -> None:
    source, target = trees
    (source / "f").write_bytes(bytes(BLOCK))
    (target / "f").write_bytes(bytes(BLOCK))
    there = Target(target)
    found: dict[bytes, Compared] = {}
    check = DataCheck(
        Asker(0, there.summer, there.ask, there.answer), pause=lambda: (target / "f").unlink(missing_ok=True)
    )
    root = os.open(source, os.O_RDONLY)
    for visit in walk(root, WalkOptions(problem=lambda path, reason: None)):
        for item in visit.entries:
            add(check, visit, item, target, found)
    check.settle()
    os.close(root)
    there.close()
    assert found[b"f"].failed == "cannot be read on the target"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5 * BLOCK - 1), max_size=6), st.integers(1, 5 * BLOCK))
def test_as_a_comparison_of_all_bytes_would_say(
    tmp_path_factory: pytest.TempPathFactory, flips: list[int], size: int
) -> None:
    source, target = (tmp_path_factory.mktemp("tree") for _ in range(2))
    data = bytes(range(256)) * (5 * BLOCK // 256)
    other = bytearray(data)
    for offset in flips:
        other[offset] ^= 0xFF
    (source / "f").write_bytes(data[:size])
    (target / "f").write_bytes(other[:size])
    ours, theirs = data[:size], bytes(other[:size])
    different = sum(
        len(ours[at : at + BLOCK])
        for at in range(0, size, BLOCK)
        if ours[at : at + BLOCK] != theirs[at : at + BLOCK]
    )
    assert compare(source, target)[b"f"] == Compared(size, different)
