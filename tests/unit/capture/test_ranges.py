from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dtesx.capture.ranges import (
    CHUNK,
    CHUNK_PAGES,
    END,
    KEY,
    PAGE,
    REQUEST,
    VALUE,
    Marks,
    unpack,
    unpack_requests,
)
from dtesx.model.spans import Spans, merge

_FILE = (12, 5, 0x800001, 7)


def _pages(spans: Spans, most: int = 64 * CHUNK_PAGES) -> set[int]:
    return {page for start, end in spans for page in range(start // PAGE, min(end // PAGE, most))}


def _value(mask: int) -> bytes:
    return VALUE.pack(mask.to_bytes(CHUNK_PAGES // 8, "little"))


spans = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20)).map(lambda s: (s[0], s[0] + s[1])))


@given(spans)
def test_merged_ranges_are_the_same_bytes_sorted_and_apart(given_spans: list[tuple[int, int]]) -> None:
    merged = merge(given_spans)
    assert {b for s, e in merged for b in range(s, e)} == {b for s, e in given_spans for b in range(s, e)}
    assert all(one[1] < other[0] for one, other in pairwise(merged))


_TOLD = 0x40
elements = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.integers(0, 60), st.just(0), st.integers(0, (1 << CHUNK_PAGES) - 1)),
            st.tuples(st.integers(0, 15), st.integers(1, 2), st.just(0)),
        ),
        st.booleans(),
    )
)


@given(elements)
def test_what_the_programs_mark_is_found_again(marked: list[tuple[tuple[int, int, int], bool]]) -> None:
    wanted: dict[bool, set[int]] = {True: set(), False: set()}
    keys, values = b"", b""
    inode, root, device, generation = _FILE
    for (number, order, mask), told in marked:
        chunk = number << order
        keys += KEY.pack(inode, root, chunk << 8 | order | told * _TOLD, device, generation)
        values += _value(mask)
        for page in range(CHUNK_PAGES << order):
            if order or mask >> page & 1:
                wanted[told].add(chunk * CHUNK_PAGES + page)
    found: Marks = {}
    silent: Marks = {}
    unpack(keys, values, found, silent)
    assert _pages(merge(found.get(_FILE, []))) == wanted[True] | wanted[False]
    assert _pages(merge(silent.get(_FILE, []))) == wanted[False]


def test_a_tail_goes_on_to_the_end_whatever_that_is() -> None:
    found: Marks = {}
    silent: Marks = {}
    inode, root, device, generation = _FILE
    tail, page = KEY.pack(inode, root, 3 << 8 | 0xFF, device, generation), KEY.pack(1, 0, 5 << 8, 2, 3)
    unpack(tail + page, _value(0) + _value(2), found, silent)
    bytes_of_page = {(1, 0, 2, 3): [(5 * CHUNK + PAGE, 5 * CHUNK + 2 * PAGE)]}
    assert found == {_FILE: [(3 * CHUNK, END)], **bytes_of_page}
    assert silent == bytes_of_page


def test_requests_that_write_are_told_by_their_pages() -> None:
    marks: Marks = {_FILE: [(0, PAGE)]}
    inode, root, device, generation = _FILE
    request = (inode, root, 0, device, generation, 3, 5)
    unpack_requests(REQUEST.pack(*request, 1) + REQUEST.pack(99, *request[1:], 0), marks)
    assert marks == {_FILE: [(0, PAGE), (3 * PAGE, 5 * PAGE)]}


def test_a_file_of_which_no_byte_changed_is_told_all_the_same() -> None:
    found: Marks = {}
    silent: Marks = {}
    inode, root, device, generation = _FILE
    unpack(KEY.pack(inode, root, _TOLD, device, generation), _value(0), found, silent)
    assert (found, silent) == ({_FILE: []}, {})
