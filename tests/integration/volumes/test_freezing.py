"""File systems that stand still for a moment, and go on whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.volumes.freezing import Freezer, NotFrozen, thaw_left

pytestmark = pytest.mark.integration

_MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}

_CHILD = """
import os, sys, time
from dtesx.volumes.freezing import Freezer
freezer = Freezer([os.open(sys.argv[1], os.O_RDONLY)])
with freezer.frozen(60.0):
    print(freezer._guardian.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[list[Path]]:
    with ExitStack() as stack:
        found = []
        for kind, make in _MAKE.items():
            where = tmp_path / kind
            where.mkdir()
            image = tmp_path / f"{kind}.img"
            with image.open("wb") as file:
                file.truncate(320 << 20)
            run([*make, str(image)])
            run(["mount", "-o", "loop", str(image), str(where)])
            stack.callback(run, ["umount", str(where)])
            found.append(where)
        yield found


@pytest.fixture
def freezer(systems: list[Path]) -> Iterator[Freezer]:
    fds = [os.open(system, os.O_RDONLY) for system in systems]
    freezer = Freezer(fds)
    yield freezer
    freezer.close()
    for fd in fds:
        os.close(fd)


def _write(path: Path) -> threading.Thread:
    thread = threading.Thread(target=path.write_bytes, args=(b"x",), daemon=True)
    thread.start()
    return thread


def _all_writable(systems: list[Path]) -> None:
    for number, system in enumerate(systems):
        thread = _write(system / f"after-{number}")
        thread.join(20)
        assert not thread.is_alive(), system


def test_nothing_is_written_in_the_moment(systems: list[Path], freezer: Freezer) -> None:
    with freezer.frozen(20.0) as moment:
        threads = [_write(system / "file") for system in systems]
        time.sleep(0.2)
        assert all(thread.is_alive() for thread in threads)
        assert not any((system / "file").exists() for system in systems)
    assert moment.whole
    for thread in threads:
        thread.join(20)
    assert all((system / "file").read_bytes() == b"x" for system in systems)
    with freezer.frozen(20.0) as again:
        pass
    assert again.whole


def test_time_that_is_up_thaws(systems: list[Path], freezer: Freezer) -> None:
    with freezer.frozen(2.0) as moment:
        _all_writable(systems)
    assert not moment.whole
    assert freezer.stats.last >= 2.0
    with pytest.raises(NotFrozen), freezer.frozen(1e-6):
        pass
    assert freezer.stats.times == 2
    assert freezer.stats.last < 2.0 <= freezer.stats.most
    _all_writable(systems)
    with freezer.frozen(20.0) as moment:
        pass
    assert moment.whole


def test_a_frozen_one_is_not_frozen_again(systems: list[Path], freezer: Freezer) -> None:
    run(["fsfreeze", "--freeze", str(systems[1])])
    try:
        with pytest.raises(NotFrozen), freezer.frozen(1.0):
            pass
        thread = _write(systems[0] / "file")
        thread.join(20)
        assert not thread.is_alive(), "one that was frozen before it is thawed again"
    finally:
        run(["fsfreeze", "--unfreeze", str(systems[1])])
    _all_writable(systems)


def test_a_killed_process_leaves_nothing_frozen(systems: list[Path]) -> None:
    for system in systems:
        argv = [sys.executable, "-c", _CHILD, str(system)]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
        assert child.stdout is not None
        guardian = Path(f"/proc/{int(child.stdout.readline())}")
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        while guardian.exists():  # it has the file system open
            time.sleep(0.01)
    _all_writable(systems)


def test_a_killed_guardian_leaves_nothing_frozen(systems: list[Path], freezer: Freezer) -> None:
    with freezer.frozen(20.0) as moment:
        os.kill(freezer._guardian.pid, signal.SIGKILL)
    assert moment.whole, "we thawed it ourselves"
    _all_writable(systems)


@pytest.mark.parametrize("reaped", [False, True])
def test_a_killed_guardian_has_a_successor(systems: list[Path], freezer: Freezer, reaped: bool) -> None:
    killed = freezer._guardian
    killed.kill()
    if reaped:
        killed.wait()
    else:  # it may be dying still when it is asked: then it is noticed by its silence
        with suppress(NotFrozen), freezer.frozen(20.0):
            pass
    with freezer.frozen(20.0) as moment:
        threads = [_write(system / "file") for system in systems]
        time.sleep(0.1)
        assert all(thread.is_alive() for thread in threads)
    assert moment.whole
    assert freezer._guardian.pid != killed.pid
    _all_writable(systems)


def test_a_guardian_that_answers_too_late_is_asked_no_more(systems: list[Path], freezer: Freezer) -> None:
    slow = freezer._guardian
    freezer._socket.settimeout(0.5)
    os.kill(slow.pid, signal.SIGSTOP)
    with pytest.raises(NotFrozen), freezer.frozen(20.0):
        pass
    os.kill(slow.pid, signal.SIGCONT)
    assert slow.wait(20) == 0
    _all_writable(systems)
    with freezer.frozen(20.0) as moment:
        pass
    assert moment.whole
    _all_writable(systems)


def test_what_was_left_frozen_is_thawed_at_the_next_start(systems: list[Path]) -> None:
    for system in systems:
        argv = [sys.executable, "-c", _CHILD, str(system)]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
        assert child.stdout is not None
        os.kill(int(child.stdout.readline()), signal.SIGKILL)
        child.kill()
        child.wait()
        child.stdout.close()
    threads = [_write(system / "file") for system in systems]
    time.sleep(0.1)
    assert all(thread.is_alive() for thread in threads), "all are frozen"
    thaw_left()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_what_somebody_has_frozen_stays_frozen(systems: list[Path], freezer: Freezer) -> None:
    with freezer.frozen(20.0) as moment:
        thaw_left()
    assert moment.whole


def test_who_holds_others_up_goes_first(freezer: Freezer) -> None:
    ordinary = os.sched_getscheduler(0)
    with freezer.frozen(20.0):
        assert os.sched_getscheduler(0) == os.SCHED_RR
        assert os.sched_getscheduler(freezer._guardian.pid) == os.SCHED_RR
    assert os.sched_getscheduler(0) == ordinary
