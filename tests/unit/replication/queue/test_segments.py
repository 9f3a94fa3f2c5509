from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.replication.queue.errors import QueueDamaged, QueueFull
from dtesx.replication.queue.segments import Segments
from dtesx.replication.queue.storage import Folder
from tests.unit.replication.queue.broken_storage import BrokenStorage, Crash

STREAM = bytes(range(16))


def filled(storage: BrokenStorage | Folder, count: int, *, segment: int = 100) -> Segments:
    segments = Segments(storage, STREAM, segment=segment)
    for number in range(1, count + 1):
        segments.append(number, b"%d" % number * 20)
    return segments


def test_what_was_appended_is_read_in_any_order() -> None:
    segments = filled(BrokenStorage(), 30)
    assert segments.held == range(1, 31)
    for number in (30, 1, 17, 17, 2):
        assert segments.read(number) == b"%d" % number * 20
    with pytest.raises(KeyError):
        segments.read(31)


def test_released_segments_leave_the_disk() -> None:
    storage = BrokenStorage()
    segments = filled(storage, 30)
    segments.release(15)
    assert segments.held.start <= 16
    assert segments.used == sum(map(len, storage.files.values()))
    segments.release(30)
    assert (storage.files, segments.used, segments.held) == ({}, 0, range(0))
    segments.append(31, b"next")
    assert segments.read(31) == b"next"


def test_numbers_have_no_gaps() -> None:
    with pytest.raises(ValueError, match="follow"):
        filled(BrokenStorage(), 3).append(5, b"")


def test_another_stream_s_entries_are_removed() -> None:
    storage = BrokenStorage()
    filled(storage, 9)
    assert not Segments(storage, bytes(16)).held
    assert not storage.files


def test_a_changed_entry_is_not_handed_out() -> None:
    storage = BrokenStorage()
    segments = filled(storage, 2)
    storage.files[min(storage.files)][50] ^= 1
    with pytest.raises(QueueDamaged):
        segments.read(1)
    assert segments.read(2) == b"2" * 20


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff" * 9, os.urandom(200)])
def test_garbage_at_the_end_is_cut_off(tail: bytes) -> None:
    storage = BrokenStorage()
    filled(storage, 5)
    storage.files[max(storage.files)] += tail
    again = Segments(storage, STREAM, segment=100)
    assert again.held == range(1, 6)
    again.append(6, b"six")
    assert Segments(storage, STREAM).read(6) == b"six"


def test_a_lost_segment_ends_what_is_recovered() -> None:
    storage = BrokenStorage()
    filled(storage, 30)
    del storage.files[sorted(storage.files)[2]]
    again = Segments(storage, STREAM)
    assert again.held.start == 1
    assert again.held.stop < 30
    assert len(storage.files) == 2


def test_a_full_disk_changes_nothing() -> None:
    storage = BrokenStorage()
    segments = filled(storage, 5)
    for room in range(0, 60, 7):
        storage.room = sum(map(len, storage.files.values())) + room
        with pytest.raises(QueueFull):
            segments.append(6, bytes(200))
        assert Segments(storage, STREAM).held == range(1, 6)
    storage.room = 1 << 20
    segments.append(6, bytes(200))
    assert segments.read(6) == bytes(200)


def test_a_real_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "queue")
    segments = filled(folder, 30)
    segments.release(9)
    folder.close()
    assert (tmp_path / "queue").stat().st_mode & 0o777 == 0o700
    again = Folder(tmp_path / "queue")
    assert again.free() > 0
    recovered = Segments(again, STREAM, segment=100)
    assert recovered.held.stop == 31
    assert [recovered.read(n) for n in (10, 30)] == [b"10" * 20, b"30" * 20]
    recovered.release(30)
    assert again.names() == []
    again.close()


steps = st.lists(st.tuples(st.sampled_from(["append", "release", "read"]), st.integers(0, 90)), max_size=40)
failures = st.dictionaries(
    st.integers(1, 80), st.tuples(st.sampled_from(["crash", "ENOSPC", "EIO"]), st.floats(0, 1)), max_size=3
)


@settings(max_examples=400)
@given(steps, failures)
def test_whatever_fails_what_was_taken_and_not_released_is_there_after_a_restart(
    steps: list[tuple[str, int]], fails: dict[int, tuple[str, float]]
) -> None:
    storage = BrokenStorage(fails)
    taken: dict[int, bytes] = {}
    released = 0
    try:
        segments = Segments(storage, STREAM, segment=150)
        for what, size in steps:
            if what == "append":
                number = max(taken, default=0) + 1
                try:
                    segments.append(number, bytes([number]) * size)
                except QueueFull:
                    continue
                taken[number] = bytes([number]) * size
            elif what == "release" and taken:
                released = max(released, max(taken) * size // 90)
                segments.release(released)
            else:
                for number in segments.held:
                    assert segments.read(number) == taken[number]
    except (Crash, QueueDamaged):
        pass
    storage.fails = {}
    again = Segments(storage, STREAM, segment=150)
    wanted = {number for number in taken if number > released}
    assert wanted <= set(again.held)
    for number in again.held:
        assert number not in taken or again.read(number) == taken[number]
    again.append(again.held.stop or 1, b"on it goes")
