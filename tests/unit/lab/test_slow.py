import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.lab import hooks, slow
from dtesx.lab.machine import AttachedDisk, ReplicaHardware


class Reports(logging.Handler):
    """Keeps the fields of what is logged, and says when the first comes."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, object]] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.fields.append(record.__dict__["dtesx_fields"])
        self.came.set()


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture(autouse=True)
def _listening(reports: Reports) -> Iterator[None]:
    logger = logging.getLogger(slow.__name__)
    logger.addHandler(reports)
    yield
    logger.removeHandler(reports)


def the_place_where_it_hangs(event: threading.Event) -> None:
    assert event.wait(30)


def test_what_takes_long_says_where_it_stands(reports: Reports) -> None:
    with slow.explained("attach appliance", after=0.01):
        the_place_where_it_hangs(reports.came)
    (report,) = reports.fields
    assert report["what"] == "attach appliance"
    threads = report["threads"]
    assert isinstance(threads, dict)
    stack = next(stack for name, stack in threads.items() if name.startswith("MainThread"))
    assert any(call.endswith(" the_place_where_it_hangs") for call in stack)


def test_what_is_quick_or_fails_says_nothing(reports: Reports) -> None:
    timers = {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}
    with pytest.raises(ZeroDivisionError), slow.explained("detach", after=600):
        raise ZeroDivisionError
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread not in timers:
            thread.join(30)
            assert not thread.is_alive()
    assert reports.fields == []


def test_a_hook_that_takes_long_is_explained(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    class Site:
        def attach(self, vm: str, disk: AttachedDisk) -> None: ...

        def detach(self, vm: str, disk: AttachedDisk) -> None: ...

        def power_on(self, hardware: ReplicaHardware) -> None: ...

        def power_off(self, vm: str) -> None:
            assert reports.came.wait(30)

    monkeypatch.setattr(hooks, "_LONG_SECONDS", 0.01)
    assert hooks.dispatch(b'{"call": "power_off", "vm": "r"}', Site()) == {"ok": True}
    assert reports.fields[0]["what"] == "power_off r"


def task(proc: Path, pid: int, name: str, state: str, stack: str | None) -> None:
    folder = proc / str(pid) / "task" / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({name}) {state} 1 1 1 0 -1")
    if stack is not None:
        (folder / "stack").write_text(stack)


def test_tasks_that_the_kernel_lets_wait_are_found_with_their_stacks(tmp_path: Path) -> None:
    task(
        tmp_path,
        7,
        "losetup",
        "D",
        "[<0>] xlog_wait_on_iclog+0x17c/0x1c0\n[<0>] xfs_file_fsync+0x1d2/0x200\n",
    )
    task(tmp_path, 8, "odd) D (name", "S", "[<0>] poll+0x1/0x2\n")
    task(tmp_path, 9, "kworker/u8:1+loop3", "D", None)
    assert slow.waiting_tasks(tmp_path) == {
        "7 losetup": ["xlog_wait_on_iclog+0x17c/0x1c0", "xfs_file_fsync+0x1d2/0x200"],
        "9 kworker/u8:1+loop3": [],
    }
