from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror.delta import Segment, check, runs, segments
from dtesx.mirror.sums import BLOCK, PIECE, SEGMENT, SUM, Summer
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Basis, Sums

SUMMER = Summer(b"")


def answer(segment: Segment, ours: bytes, theirs: bytes) -> Sums:
    """What a target says whose file holds ``theirs``."""
    part = theirs[segment.offset : segment.offset + segment.length]
    wanted = SUMMER.sums(ours[segment.offset : segment.offset + segment.length], BLOCK)
    differing, fine = [], b""
    for block in range(len(wanted) // SUM):
        piece = part[block * BLOCK : (block + 1) * BLOCK]
        if SUMMER.sums(piece, BLOCK) != wanted[block * SUM : (block + 1) * SUM]:
            differing.append(block)
            fine += SUMMER.sums(piece, PIECE)
    return Sums(1, Basis(1, len(theirs), 1), tuple(differing), fine)


spots = st.lists(st.tuples(st.integers(0, 5 * BLOCK), st.integers(1, 3 * PIECE)), max_size=4)


@given(st.integers(1, 5 * BLOCK), st.integers(0, 6 * BLOCK), spots, st.integers(0, 2 * BLOCK))
def test_what_is_kept_and_what_is_sent_make_the_source_file(
    size: int, theirs_size: int, changes: list[tuple[int, int]], offset: int
) -> None:
    base = bytes(range(251)) * (6 * BLOCK // 251 + 1)
    ours = bytearray(base[: offset + size])
    for start, length in changes:
        stop = min(start + length, len(ours))
        ours[start:stop] = b"\xff" * max(0, stop - start)
    theirs = base[:theirs_size]
    segment = Segment(offset, size)
    told = answer(segment, bytes(ours), theirs)
    check(segment, told)
    made = bytearray()
    sent = 0
    for run in runs(segment, told, lambda at, length: bytes(ours[at : at + length]), SUMMER):
        assert run.offset == offset + len(made)
        assert run.length > 0
        if run.data is None:
            made += theirs[run.offset : run.offset + run.length]
        else:
            assert len(run.data) == run.length
            made += run.data
            sent += run.length
    assert bytes(made) == bytes(ours[offset:])
    changed = sum(length + 2 * PIECE for _, length in changes)
    assert sent <= changed + max(0, offset + size - theirs_size) + PIECE


extents = st.lists(st.integers(0, 3 * SEGMENT), unique=True).map(sorted)


@given(extents, st.integers(1, 4 * SEGMENT))
def test_segments_cover_a_file_once(edges: list[int], size: int) -> None:
    edges = [edge for edge in edges if edge < size]
    data = list(zip(edges[::2], edges[1::2], strict=False))
    reached = 0
    for segment in segments(data, size):
        assert segment.offset == reached
        assert segment.length > 0
        reached += segment.length
        inside = any(start <= segment.offset and reached <= end for start, end in data)
        assert inside is not segment.hole
        assert segment.hole or segment.length <= SEGMENT
    assert reached == size


@pytest.mark.parametrize(
    ("differing", "fine"),
    [((2,), 0), ((-1,), 16), ((0, 0), 32), ((1, 0), 17), ((0,), 15), ((0,), 17), ((), 1), ((1,), 2)],
)
def test_answers_that_do_not_fit_are_refused(differing: tuple[int, ...], fine: int) -> None:
    segment = Segment(0, BLOCK + 1)
    basis = Basis(1, 10 * BLOCK, 1)
    check(segment, Sums(1, basis, (0, 1), bytes(17 * SUM)))
    with pytest.raises(ProtocolError):
        check(segment, Sums(1, basis, differing, bytes(fine * SUM + (fine == 15))))


def test_a_file_that_shrank_ends_the_runs() -> None:
    segment = Segment(0, 3 * BLOCK)
    told = Sums(1, Basis(1, 0, 1), (0, 1, 2), b"")
    found = list(runs(segment, told, lambda at, length: bytes(length if at < BLOCK else 10), SUMMER))
    assert [(run.offset, run.length) for run in found] == [(0, BLOCK), (BLOCK, 10)]
