from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.replication.queue.errors import QueueDamaged
from dtesx.replication.queue.segments import Segments
from dtesx.replication.queue.storage import Folder
from tests.unit.replication.queue.broken_storage import BrokenStorage


def filled(storage: BrokenStorage | Folder, count: int, *, segment: int = 100) -> Segments:
    segments = Segments(storage, segment=segment)
    for number in range(1, count + 1):
        assert segments.append(number, b"%d" % number * 20)
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
    assert segments.used == storage.used
    segments.release(30)
    assert (storage.files, segments.used, segments.held) == ([], 0, range(0))
    segments.append(31, b"next")
    assert segments.read(31) == b"next"
    segments.close()
    assert storage.files == []


def test_numbers_have_no_gaps() -> None:
    with pytest.raises(ValueError, match="follow"):
        filled(BrokenStorage(), 3).append(5, b"")


def test_a_changed_entry_is_not_handed_out() -> None:
    storage = BrokenStorage()
    segments = filled(storage, 2)
    storage.files[0].data[5] ^= 1
    with pytest.raises(QueueDamaged):
        segments.read(1)
    assert segments.read(2) == b"2" * 20


def test_a_full_disk_changes_nothing() -> None:
    storage = BrokenStorage()
    segments = filled(storage, 5)
    for room in range(0, 60, 7):
        storage.room = storage.used + room
        assert not segments.append(6, bytes(200))
        assert segments.held == range(1, 6)
    storage.room = 1 << 20
    assert segments.append(6, bytes(200))
    assert [segments.read(number) for number in (5, 6)] == [b"5" * 20, bytes(200)]


def test_a_real_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    segments = filled(folder, 30)
    segments.release(9)
    assert folder.free() > 0
    assert [segments.read(number) for number in (10, 30)] == [b"10" * 20, b"30" * 20]
    assert list(tmp_path.iterdir()) == []
    segments.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors


steps = st.lists(st.tuples(st.sampled_from(["append", "release", "read"]), st.integers(0, 90)), max_size=40)
failures = st.dictionaries(
    st.integers(1, 80), st.tuples(st.sampled_from(["", "ENOSPC", "EIO"]), st.floats(0, 1)), max_size=3
)


@settings(max_examples=400)
@given(steps, failures)
def test_whatever_fails_what_was_taken_reads_back_or_is_known_to_be_damaged(
    steps: list[tuple[str, int]], fails: dict[int, tuple[str, float]]
) -> None:
    segments = Segments(BrokenStorage(fails), segment=150)
    taken: dict[int, bytes] = {}
    for what, size in steps:
        try:
            if what == "append":
                number = max(taken, default=0) + 1
                if segments.append(number, bytes([number]) * size):
                    taken[number] = bytes([number]) * size
            elif what == "release" and taken:
                segments.release(max(taken) * size // 90)
            else:
                for number in segments.held:
                    assert segments.read(number) == taken[number]
        except QueueDamaged:
            pass
        assert set(segments.held) <= set(taken)
        assert not taken or not segments.held or segments.held[-1] == max(taken)
