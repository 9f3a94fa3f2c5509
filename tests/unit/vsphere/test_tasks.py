from __future__ import annotations

import threading
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.vsphere import tasks


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(tasks, "_sleep", pauses.append)
    return pauses


def test_heavy_tasks_take_turns_at_their_server(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may run at once are at work until they are let go; one more waits."""
    at_work, most, go = threading.Semaphore(0), [0, 0], threading.Event()
    lock = threading.Lock()

    def work(*_: Any) -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        at_work.release()
        go.wait()
        with lock:
            most[0] -= 1

    monkeypatch.setattr(tasks, "_run", work)
    threads = [
        threading.Thread(target=tasks.run_task, args=(session, lambda: None), kwargs={"heavy": True})
        for _ in range(tasks.HEAVY_TASKS + 3)
    ]
    for thread in threads:
        thread.start()
    for _ in range(tasks.HEAVY_TASKS):
        at_work.acquire()
    light = threading.Thread(target=tasks.run_task, args=(session, lambda: None))
    light.start()
    at_work.acquire()  # it does not wait for its turn
    go.set()
    for thread in (*threads, light):
        thread.join()
    assert most[1] == tasks.HEAVY_TASKS + 1


@pytest.mark.parametrize("fault", [vim.fault.TaskInProgress, vim.fault.ConcurrentAccess])
def test_a_busy_object_is_asked_again(
    session: Any, quick: list[float], monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    answers: list[Any] = [fault(), fault(), "made"]

    def answer(*_: Any) -> Any:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(tasks, "_run", answer)
    assert tasks.run_task(session, lambda: None) == "made"
    assert len(quick) == 2


def test_other_faults_are_not_tried_again(
    session: Any, quick: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise vim.fault.InvalidState

    monkeypatch.setattr(tasks, "_run", fail)
    with pytest.raises(vim.fault.InvalidState):
        tasks.run_task(session, lambda: None)
    assert quick == []
