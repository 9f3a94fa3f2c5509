from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror.extents import Extents

writes = st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=25)


def flat(extents: Extents) -> list[tuple[int, bytes]]:
    return [(offset, b"".join(pieces)) for offset, _, pieces in extents.runs()]


def test_adjacent_writes_become_one() -> None:
    extents = Extents()
    for offset, data in ((10, b"cd"), (14, b"gh"), (12, b"ef"), (8, b"ab"), (20, b"z")):
        extents.write(offset, data)
    assert flat(extents) == [(8, b"abcdefgh"), (20, b"z")]


def test_the_last_of_overlapping_writes_wins() -> None:
    extents = Extents()
    extents.write(0, b"aaaaaaaa")
    extents.write(2, b"bb")
    assert flat(extents) == [(0, b"aabbaaaa")]
    extents.write(1, b"cccccccccc")
    assert flat(extents) == [(0, b"accccccccccc"[:11])]


@given(writes)
def test_the_runs_are_what_the_writes_would_have_left(writes: list[tuple[int, bytes]]) -> None:
    extents = Extents()
    content: dict[int, int] = {}
    for offset, data in writes:
        extents.write(offset, data)
        content.update(enumerate(data, start=offset))
    found = {offset + index: byte for offset, data in flat(extents) for index, byte in enumerate(data)}
    assert found == content
    assert extents.size == len(content)
    assert bool(extents) is bool(content)
    spans = [(offset, offset + length) for offset, length, _ in extents.runs()]
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
