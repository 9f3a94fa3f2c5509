from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.capture.batch import Batch
from dtesx.capture.events import (
    ATTRIB,
    CREATE,
    MODIFY,
    ON_DIRECTORY,
    RENAME,
    Event,
    MalformedEvents,
    parse,
)


def _place(fsid: bytes, kind: int, handle: bytes) -> bytes:
    return fsid + struct.pack("=Ii", len(handle), kind) + handle


places = st.builds(
    _place,
    st.binary(min_size=8, max_size=8),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.binary(max_size=128),
)
file_names = st.binary(min_size=1, max_size=255).filter(lambda name: b"\0" not in name and b"/" not in name)
events = st.tuples(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 22),
    st.lists(st.tuples(places, file_names), max_size=3),
    st.one_of(st.just(b""), places),
)


def _record(kind: int, content: bytes, padding: int) -> bytes:
    content += bytes(padding)
    return struct.pack("=BxH", kind, 4 + len(content)) + content


def _packed(event: Event, padding: int = 0) -> bytes:
    """An event as linux/fanotify.h lays it out, with a record of a kind that does not concern us."""
    mask, process, entries, file = event
    records = b"".join(
        _record(kind, place + name + b"\0", padding)
        for kind, (place, name) in zip((2, 10, 12), entries, strict=False)
    )
    if file:
        records += _record(1, file, padding)
    records += _record(6, bytes(20), 0)
    return struct.pack("=IBxHQii", 24 + len(records), 3, 24, mask, -1, process) + records


@given(st.lists(events), st.integers(0, 7))
def test_what_the_kernel_packs_is_found_again(sent: list[Event], padding: int) -> None:
    assert list(parse(b"".join(_packed(event, padding) for event in sent))) == sent


@given(st.lists(events, min_size=1), st.data())
def test_torn_or_foreign_bytes_are_refused_and_nothing_else_happens(
    sent: list[Event], data: st.DataObject
) -> None:
    buffer = bytearray(b"".join(_packed(event) for event in sent))
    for _ in range(data.draw(st.integers(0, 5))):
        buffer[data.draw(st.integers(0, len(buffer) - 1))] = data.draw(st.integers(0, 255))
    torn = bytes(buffer[: data.draw(st.integers(0, len(buffer)))])
    try:
        for _, _, entries, file in parse(torn):
            assert all(b"\0" not in name for _, name in entries)
            assert len(file) <= len(torn)
    except MalformedEvents:
        pass


def test_another_version_is_refused() -> None:
    buffer = bytearray(_packed((CREATE, 1, [], b"")))
    buffer[4] = 4
    with pytest.raises(MalformedEvents, match="version 4"):
        list(parse(bytes(buffer)))


def _batch(*noted: Event) -> Batch:
    batch = Batch()
    for event in noted:
        batch.note(event)
    return batch


def test_a_name_is_kept_once_and_by_what_happened_to_it() -> None:
    batch = _batch(
        (CREATE | MODIFY, 1, [(b"d", b"new")], b""),
        (MODIFY, 1, [(b"d", b"new")], b"file"),
        (ATTRIB, 1, [(b"d", b"old")], b"file"),
    )
    assert batch.appeared == {b"d": {b"new"}}
    assert batch.names == {b"d": {b"old"}}
    assert batch.written == {b"d": {b"new"}}
    assert (batch.files, batch.moved, batch.waiting) == (set(), set(), 3)


def test_files_without_a_name_and_moved_directories_are_kept_apart() -> None:
    both = [(b"d", b"from"), (b"e", b"to")]
    batch = _batch((MODIFY, 1, [], b"file"), (RENAME | ON_DIRECTORY, 1, both, b""), (RENAME, 1, both, b""))
    assert batch.files == {b"file"}
    assert batch.moved == set(both)
    assert (batch.names, batch.appeared) == ({b"d": {b"from"}}, {b"e": {b"to"}})


def test_of_what_is_not_to_be_told_only_the_directories_that_moved_are_kept() -> None:
    batch = Batch()
    both = [(b"d", b"from"), (b"e", b"to")]
    batch.note((RENAME | ON_DIRECTORY, 1, both, b"it"), told=False)
    batch.note((CREATE | MODIFY, 1, [(b"d", b"new")], b"new"), told=False)
    assert (batch.moved, batch.history.origins, batch.waiting) == (set(both), {b"it": both[0]}, 0)
    assert (batch.appeared, batch.names, batch.written, batch.history.directories) == ({}, {}, {}, set())


def test_a_lost_batch_notes_no_more() -> None:
    batch = _batch((MODIFY, 1, [(b"d", b"a")], b""))
    batch.lose()
    batch.note((CREATE, 1, [(b"d", b"a")], b""))
    assert batch == Batch(lost=True)


@given(st.lists(events), st.lists(events))
def test_a_repeated_directory_says_what_both_batches_say(first: list[Event], second: list[Event]) -> None:
    earlier, later, both = _batch(*first), _batch(*second), _batch(*first, *second)
    for place in earlier.appeared | earlier.names | earlier.written:
        later.repeat(place, earlier)
    assert (later.appeared, later.names, later.written) == (both.appeared, both.names, both.written)
    assert later.waiting == both.waiting
