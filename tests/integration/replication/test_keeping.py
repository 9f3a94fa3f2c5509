"""A paused target keeps epochs: what it tells is about what will be, and nothing of the replica changes."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from dtesx.base.errors import EpochDamaged
from dtesx.base.run import run
from dtesx.model.changes import Changes
from dtesx.model.epoch import QueueAction, QueueOrder, TargetQueue
from dtesx.model.replication import TargetStatus
from dtesx.model.target import TargetOptions, WorkerPhase
from dtesx.replication import epochs as epochs_module
from dtesx.replication.continuous.consistent import Capture
from dtesx.replication.orders import Orders
from dtesx.replication.pausing import Gate

from .conftest import Site
from .test_replicating import difference, replicating, settled
from .vandal import Vandal

pytestmark = pytest.mark.integration

SEEDS = 12 if "DTESX_TORTURE" in os.environ else 2


def _waiting(site: Site) -> list[Path]:
    return sorted((site.target.parent / "epochs").glob("*.epoch"))


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Turns:
    """Tells what changed when it is asked for, so that nothing changes while it is read."""

    def __init__(self) -> None:
        self._capture: Capture | None = None
        self._due, self._read = threading.Event(), threading.Event()
        self._told = False

    def through(self, capture: Capture) -> Turns:
        """Tell what ``capture`` tells."""
        self._capture = capture
        return self

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """Nothing, or all of it."""
        assert self._capture is not None
        if self._due.is_set():
            self._due.clear()
            self._told = True
            return self._capture.drain(still=still)
        if self._told:  # and read, for who asks again is done with it
            self._told = False
            self._read.set()
        return {}

    def take(self) -> None:
        """Have all that changed replicated, and wait until it is read."""
        self._read.clear()
        self._due.set()
        assert self._read.wait(30)


def _vandalize(site: Site, seed: int, epochs: int) -> None:
    """Change the source, and wait for as many epochs."""
    vandal = Vandal(site.source, seed)
    for number in range(len(_waiting(site)), len(_waiting(site)) + epochs):
        vandal.act(60)
        _until(partial(lambda number: len(_waiting(site)) > number, number))


@contextmanager
def _paused(site: Site, gate: Gate) -> Iterator[None]:
    """Whatever happens meanwhile, nothing of the replica changes."""
    _until(lambda: not _waiting(site))  # all that was applied is on disk
    gate.turn(shut=True)
    assert gate.wait(10)
    before = site.target.with_name("before")
    run(["cp", "-a", str(site.target), str(before)])
    yield
    argv = ["rsync", "-aHAXnc", "--delete", "--itemize-changes", f"{before}/", f"{site.target}/"]
    assert run(argv).stdout == b""
    gate.turn(shut=False)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_waited_is_applied_in_its_order(bare_site: Site, seed: int) -> None:
    site, gate, turns, vandal = bare_site, Gate(), Turns(), Vandal(bare_site.source, 100 + seed)
    vandal.act(200)
    with site.receiver(gate=gate), replicating(site, through=turns.through) as running:
        running.caught_up()
        with _paused(site, gate):
            for _ in range(8):
                vandal.act(60)
                turns.take()
        running.caught_up()
        assert difference(site, "--checksum") == b""
        _until(lambda: not _waiting(site))
    assert not _left_out(site), running.states[-1].stats.problems


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_waits_outlives_target_and_source(bare_site: Site, seed: int) -> None:
    site, gate = bare_site, Gate()
    Vandal(site.source, seed).act(100)
    with ExitStack() as stack:
        target = stack.enter_context(ExitStack())
        target.enter_context(site.receiver(gate=gate))
        source = stack.enter_context(ExitStack())
        running = source.enter_context(replicating(site))
        running.caught_up()
        with _paused(site, gate):
            _vandalize(site, 100 + seed, 3)
            target.close()
            target.enter_context(site.receiver(gate=gate, port=site.port))
            _vandalize(site, 200 + seed, 2)
            source.close()
            running = source.enter_context(replicating(site))
            _vandalize(site, 300 + seed, 2)
        running.caught_up()
        # The root has its own times again when what marks a move has gone, which is a little later.
        _until(lambda: difference(site, "--checksum") == b"")


def test_moves_that_waited_leave_directories_their_times(bare_site: Site) -> None:
    site, gate, turns = bare_site, Gate(), Turns()
    (inner := site.source / "a/inner").mkdir(parents=True)
    (inner / "one").touch()
    with site.receiver(gate=gate), replicating(site, through=turns.through) as running:
        running.caught_up()
        with _paused(site, gate):
            (site.source / "more").touch()
            turns.take()
            times = {path: path.stat().st_mtime_ns for path in (inner, site.source)}
            (inner / "one").rename(inner / "other")
            os.utime(inner, ns=(times[inner], times[inner]))
            (site.source / "a").rename(site.source / "b")
            os.utime(site.source, ns=(times[site.source], times[site.source]))
            turns.take()
        running.caught_up()
        settled(site)


def _left_out(site: Site) -> int:
    """How often the target could not do what it was told, whenever that was."""
    return sum(stats.problems_total for _, stats, _ in site.reports)


def _order(orders: Orders, action: QueueAction, through: int | None = None) -> TargetQueue:
    def nobody(_order: QueueOrder) -> TargetQueue:
        raise AssertionError("no session has the place")

    return orders.order(QueueOrder(action, through=through), nobody)


def test_what_waits_is_applied_in_part_and_discarded_in_part(bare_site: Site) -> None:
    site, gate, orders = bare_site, Gate(), Orders()
    with site.receiver(gate=gate, orders=orders), replicating(site) as running:
        running.caught_up()
        _until(lambda: not _waiting(site))
        gate.turn(shut=True)
        assert gate.wait(10)
        for number in range(4):
            (site.source / f"file-{number}").write_bytes(b"%d" % number)
            (site.source / "same").write_bytes(random.randbytes(1 << 20))
            _until(partial(lambda number: len(_waiting(site)) > number, number))
        waiting = _order(orders, QueueAction.SHOW).waiting
        second = waiting[1].epoch
        queue = _order(orders, QueueAction.APPLY, second.number)
        assert (queue.applied, queue.waiting) == (second, waiting[2:])
        assert (site.target / "file-1").exists()
        assert not (site.target / "file-2").exists()
        running.until(lambda state: state.epoch == second)
        queue = _order(orders, QueueAction.DISCARD, waiting[2].epoch.number)
        assert queue.waiting == waiting[2:3]
        gate.turn(shut=False)
        running.caught_up()
        assert difference(site, "--checksum") == b""


def test_a_queue_that_is_full_keeps_its_source_waiting(bare_site: Site) -> None:
    site, gate = bare_site, Gate()
    options = TargetOptions(retry_delay=0.1, queue_limit=3 << 20)
    with site.receiver(gate=gate, options=options), replicating(site) as running:
        running.caught_up()
        with _paused(site, gate):
            for number in range(6):
                (site.source / f"file-{number}").write_bytes(random.randbytes(1 << 20))
                time.sleep(0.3)
            _until(lambda: any("reached its limit" in message for _, _, message in site.reports))
            assert sum(file.stat().st_size for file in _waiting(site)) < 3 << 20
        running.caught_up()
        assert difference(site, "--checksum") == b""


def test_a_damaged_epoch_is_told_and_can_be_discarded(bare_site: Site) -> None:
    site, gate, orders = bare_site, Gate(), Orders()
    with site.receiver(gate=gate, orders=orders), replicating(site) as running:
        running.caught_up()
        with _paused(site, gate):
            for number in range(2):
                (site.source / f"file-{number}").write_bytes(random.randbytes(1000))
                _until(partial(lambda number: len(_waiting(site)) > number, number))
            with _waiting(site)[0].open("r+b") as file:
                file.seek(700)
                file.write(b"damage")
            with pytest.raises(EpochDamaged, match="damaged on the target's disk"):
                _order(orders, QueueAction.APPLY)
            assert len(_waiting(site)) == 2
            assert _order(orders, QueueAction.DISCARD).waiting == ()
        running.caught_up()
        assert difference(site, "--checksum") == b""


def test_a_replication_waits_until_a_damaged_epoch_is_out_of_the_way(bare_site: Site) -> None:
    site, gate, orders = bare_site, Gate(), Orders()
    with site.receiver(gate=gate, orders=orders), replicating(site) as running:
        running.caught_up()
        with _paused(site, gate):
            (site.source / "file").write_bytes(random.randbytes(1000))
            _until(lambda: bool(_waiting(site)))
            with _waiting(site)[0].open("r+b") as file:
                file.write(b"damage")
        running.until(lambda state: "damaged" in state.problem)
        for epoch in _waiting(site):
            epoch.unlink()
        running.caught_up()
        assert difference(site, "--checksum") == b""


@contextmanager
def _small_queue(site: Site) -> Iterator[Path]:
    """What waits has 4 MiB."""
    epochs = site.target.parent / "epochs"
    epochs.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "epochs", str(epochs)])
    try:
        yield epochs
    finally:
        run(["umount", str(epochs)])


def _appear(site: Site, name: str, size: int) -> None:
    """A file is there from one moment to the next, so that all of it is in one epoch."""
    file = site.source.with_name(name)
    file.write_bytes(random.randbytes(size))
    file.rename(site.source / name)


def test_an_epoch_that_will_never_have_room_is_mirrored(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs_module, "_LARGE", 1 << 20)
    site, options = bare_site, TargetOptions(retry_delay=0.1, queue_free=1 << 20)
    with _small_queue(site), site.receiver(options=options), replicating(site) as running:
        running.caught_up()
        for number in range(2):
            _appear(site, f"large-{number}", 6 << 20)
            running.caught_up()
            assert difference(site, "--checksum") == b""
            _appear(site, f"small-{number}", 1000)
            running.caught_up()
            assert difference(site, "--checksum") == b""


@pytest.mark.parametrize("free", [0, 3 << 20], ids=["full", "limit"])
def test_an_epoch_that_has_no_room_waits_and_nothing_of_it_is_applied(bare_site: Site, free: int) -> None:
    site, options = bare_site, TargetOptions(retry_delay=0.1, queue_free=free)
    with _small_queue(site) as epochs, site.receiver(options=options), replicating(site) as running:
        running.caught_up()
        _appear(site, "file", 6 << 20)
        _until(lambda: any(phase is WorkerPhase.TARGET_FULL for phase, _, _ in site.reports))
        running.until(lambda state: state.target is TargetStatus.FULL)
        assert os.listdir(site.target) == []
        run(["mount", "-o", "remount,size=64m", str(epochs)])
        running.caught_up()
        assert difference(site, "--checksum") == b""
