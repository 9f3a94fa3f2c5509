from __future__ import annotations

import logging
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.model.queue import MIB, QueueLimits
from dtesx.replication.queue.source_queue import SourceQueue
from tests.unit.replication.queue.broken_storage import BrokenStorage

MEMORY = QueueLimits(memory=32 * MIB)
DISK = QueueLimits(memory=32 * MIB, folder="/queue", disk=10 * MIB, minimum_free=0)


def fill(queue: SourceQueue, size: int = MIB) -> int:
    """Put frames until the queue is full; returns the last number."""
    number = queue.held.stop or 1
    while queue.put(number, (b"", bytes([number % 251]) * size)):
        number += 1
    return number - 1


def test_memory_up_to_its_limit() -> None:
    queue = SourceQueue(MEMORY)
    assert fill(queue) == 32
    assert queue.level().percent == 100
    queue.release(3)
    assert queue.held == range(4, 33)
    assert fill(queue) == 35


def test_then_disk_up_to_its_limit_and_back() -> None:
    storage = BrokenStorage()
    queue = SourceQueue(DISK, storage)
    last = fill(queue)
    assert last == 32 + 10
    assert 100 >= queue.level().percent > 90
    for number in queue.held:
        assert b"".join(map(bytes, queue.get(number))) == bytes([number % 251]) * MIB
    queue.release(last - 1)
    assert b"".join(map(bytes, queue.get(last))) == bytes([last % 251]) * MIB
    assert storage.files, "new frames follow the one that is still on disk"
    queue.release(last)
    assert not storage.used
    queue.put(last + 1, (b"memory again",))
    assert not storage.used


def test_the_minimum_free_space_stays_free() -> None:
    storage = BrokenStorage(room=60 * MIB)
    queue = SourceQueue(QueueLimits(memory=32 * MIB, folder="/queue"), storage)
    fill(queue, 100_000)
    assert 50 * MIB <= storage.free() < 51 * MIB


def test_a_disk_limit_of_zero_means_no_disk_queue() -> None:
    storage = BrokenStorage()
    assert fill(SourceQueue(QueueLimits(memory=32 * MIB, folder="/queue", disk=0), storage)) == 32
    assert not storage.used


def test_a_full_disk_is_a_full_queue_although_there_seemed_to_be_room() -> None:
    storage = BrokenStorage({2: ("ENOSPC", 0.5)})
    queue = SourceQueue(DISK, storage)
    for number in range(1, 33):
        queue.put(number, (bytes(MIB),))
    assert not queue.put(33, (bytes(MIB),))
    assert queue.held == range(1, 33)
    assert queue.put(33, (b"room", b" again"))
    assert queue.get(33) == (b"room again",)


def test_one_frame_larger_than_memory_is_taken() -> None:
    queue = SourceQueue(MEMORY)
    assert queue.put(1, (bytes(33 * MIB),))
    assert not queue.put(2, (b"x",))


def test_alert_once_at_the_percentage_and_again_after_relief(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "dtesx")
    queue = SourceQueue(DISK, BrokenStorage())
    last = fill(queue)
    assert len(caplog.records) == 1
    queue.release(last)
    fill(queue)
    assert len(caplog.records) == 2


def test_only_so_many_frames_wait() -> None:
    queue = SourceQueue(QueueLimits(pending=10))
    assert fill(queue, 1) == 10
    queue.release(4)
    assert fill(queue, 1) == 14


def test_limits_that_make_no_sense() -> None:
    for fields in ({"memory": MIB}, {"disk": -1}, {"alert": 0}, {"minimum_free": -1}, {"pending": 0}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            QueueLimits(**fields)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-40, 9 * MIB), max_size=40))
def test_behaves_as_one_line(steps: list[int]) -> None:
    """Positive numbers put a frame of that size, negative ones release some."""
    storage = BrokenStorage()
    queue = SourceQueue(DISK, storage)
    model: deque[tuple[int, int]] = deque()
    number = 0
    for step in steps:
        if step >= 0:
            if not queue.put(number + 1, (bytes(step),)):
                continue
            number += 1
            model.append((number, step))
        else:
            for _ in range(min(-step, len(model))):
                model.popleft()
            queue.release(model[0][0] - 1 if model else number)
        assert [(n, sum(map(len, queue.get(n)))) for n in queue.held] == list(model)
        assert storage.used <= 10 * MIB
        in_memory = sum(size for _, size in model) - storage.used
        assert in_memory <= 32 * MIB
