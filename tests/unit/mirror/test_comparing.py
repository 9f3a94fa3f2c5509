from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror import comparing
from dtesx.mirror.delta import pieces_of
from dtesx.mirror.sums import BLOCK, PIECE
from dtesx.model.spans import Span, merge

_SIZE = 4 << 20

places = st.lists(st.tuples(st.integers(0, _SIZE - 1), st.integers(1, 3 * BLOCK)), max_size=300)


def _spans(drawn: list[tuple[int, int]]) -> tuple[Span, ...]:
    return merge((start, min(_SIZE, start + length)) for start, length in drawn)


@given(places, places, st.integers(0, _SIZE))
def test_all_that_may_differ_is_sent_or_asked_about_in_order(
    written: list[tuple[int, int]], data: list[tuple[int, int]], there: int
) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        os.ftruncate(file.fileno(), _SIZE)
        for start, end in _spans(data):
            os.pwrite(file.fileno(), b"x" * (end - start), start)
        found = list(comparing._segments(file.fileno(), _SIZE, there, _spans(written)))
    parts = [part for segment in found for part in segment.parts]
    assert all(one[1] <= other[0] for one, other in pairwise(parts))
    assert merge(parts) == merge(pieces_of(_spans(written), _SIZE, there))
    assert all(len(segment.told) <= comparing._TOGETHER for segment in found)
    assert not found or not found[0].told


def test_small_parts_of_a_dense_file_go_together(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(_SIZE))
    spans = [(at, at + PIECE) for at in range(0, _SIZE, 4 * PIECE)]
    with (tmp_path / "file").open("rb", buffering=0) as file:
        first, *rest = comparing._segments(file.fileno(), _SIZE, _SIZE, tuple(spans))
    assert first.parts == (spans[0],)
    assert [span for segment in rest for span in segment.told] == spans[1:]
    assert len(rest) == -(-(len(spans) - 1) // comparing._TOGETHER)
