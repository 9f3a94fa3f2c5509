from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.replication import durability as module
from dtesx.replication.durability import Durability


class Disk:
    """Stands in for syncfs: every sync waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.error: OSError | None = None

    def sync(self, _fd: int) -> None:
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if self.error:
            raise self.error


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(module, "sync_file_system", disk.sync)
    return disk


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def finish(what: Durability, disk: Disk, over: threading.Event) -> None:
    assert disk.begun.acquire(timeout=10)
    disk.go.release()
    assert over.wait(10)
    over.clear()
    what.look()


def test_what_was_applied_is_durable_only_when_a_later_sync_is_over(disk: Disk, fd: int) -> None:
    clock, over = Clock(), threading.Event()
    what = Durability(over.set, clock)
    what.applied(1, 100, fd)
    what.look()
    assert (what.last, what.durable) == (1, 0)
    clock.now = 2.0
    what.look()
    what.applied(2, 100, fd)  # while the sync runs: it may or may not be caught
    what.look()
    assert what.durable == 0
    finish(what, disk, over)
    assert (what.last, what.durable) == (2, 1)
    clock.now = 4.0
    what.look()
    finish(what, disk, over)
    assert (what.last, what.durable) == (2, 2)
    assert what.idle


def test_much_is_synced_at_once(disk: Disk, fd: int) -> None:
    over = threading.Event()
    what = Durability(over.set, Clock())
    what.applied(1, 63 << 20, fd)
    what.look()
    assert not disk.begun.acquire(blocking=False)
    what.applied(2, 1 << 20, fd)
    what.look()
    finish(what, disk, over)
    assert what.durable == 2


def test_frames_that_change_nothing_are_durable_with_those_before_them(disk: Disk, fd: int) -> None:
    over = threading.Event()
    what = Durability(over.set, Clock())
    what.applied(1, 0)
    assert what.durable == 1
    what.applied(2, 64 << 20, fd)
    what.applied(3, 0)
    assert what.durable == 1
    what.look()
    what.applied(4, 0)
    finish(what, disk, over)
    assert (what.durable, what.last) == (4, 4)


def test_a_commit_syncs_even_when_nothing_was_applied(disk: Disk, fd: int) -> None:
    over = threading.Event()
    what = Durability(over.set, Clock())
    what.applied(1, 0)
    what.commit(fd)
    assert not what.idle
    what.look()
    assert not what.idle
    finish(what, disk, over)
    assert what.idle


def test_a_sync_that_fails_is_told(disk: Disk, fd: int) -> None:
    over = threading.Event()
    what = Durability(over.set, Clock())
    disk.error = OSError(5, "Input/output error")
    what.commit(fd)
    what.look()
    with pytest.raises(OSError, match="Input/output"):
        finish(what, disk, over)


def test_closing_waits_for_the_round_under_way(disk: Disk, fd: int) -> None:
    what = Durability(lambda: None, Clock())
    what.commit(fd)
    what.look()
    threading.Timer(0.05, disk.go.release).start()
    what.close()
    assert disk.begun.acquire(blocking=False)
