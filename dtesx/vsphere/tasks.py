"""The one way dtesx waits for vSphere tasks."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import VSphereError
from dtesx.base.log import get_logger
from dtesx.vsphere.collector import TimedOut, properties, watch
from dtesx.vsphere.session import Session

log = get_logger(__name__)

# Separate paths: the whole ``info`` names the task's entity with a type that not every server fills.
_PATHS = ("info.state", "info.error", "info.result")
_PROGRESS = "info.progress"

TASK_TIMEOUT = 4 * 3600.0
"""Seconds: a thick disk is zeroed block by block, and a busy array takes its time."""

HEAVY_TASKS = 4
"""How many tasks that write much run at one server at a time; the others wait here for their turn."""

_BUSY = (vim.fault.TaskInProgress, vim.fault.ConcurrentAccess)
"""Another task is at work on the object: nothing of ours was begun, so it may be asked for again."""

_BUSY_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

_turns: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(HEAVY_TASKS))

_sleep = time.sleep

Progress = Callable[[int], None]
"""Is told how far a task is, in percent."""


def unseen(_percent: int) -> None:
    """Nobody looks."""


def run_task(
    session: Session,
    start: Callable[[], Any],
    *,
    timeout: float = TASK_TIMEOUT,
    on_progress: Progress = unseen,
    heavy: bool = False,
) -> Any:
    """Start a task by ``start`` and wait for its end; return its result.

    A task that finds another one at work on its object is started again after a while, for a minute
    in all. A ``heavy`` one waits until few others of its kind run at that server. Raises the task's own
    fault (explained by the caller), or VSphereError after ``timeout`` seconds.
    """
    turn: AbstractContextManager[Any] = _turns[session.server.address] if heavy else nullcontext()
    with turn:
        for pause in _BUSY_PAUSES:
            try:
                return _run(session, start, timeout, on_progress)
            except _BUSY as fault:
                log.info("another vSphere task is at work", fault=type(fault).__name__, again_in=pause)
                _sleep(pause)
        return _run(session, start, timeout, on_progress)


def _run(session: Session, start: Callable[[], Any], timeout: float, on_progress: Progress) -> Any:
    task = session.change(start)
    started = time.monotonic()

    def ended(values: Mapping[str, Any]) -> bool | None:
        percent = values.get(_PROGRESS)
        if percent is not None:
            on_progress(int(percent))
        return True if str(values.get("info.state", "")) in ("success", "error") else None

    try:
        watch(session, task, (*_PATHS, _PROGRESS), timeout=timeout, found=ended)
    except TimedOut as error:
        raise VSphereError(
            f"a vSphere task is still {error.last.get('info.state', 'unknown')} after {timeout:.0f} s",
            hint="look at Recent Tasks in the vSphere client; a VM with an open question blocks its tasks",
        ) from error
    final = properties(session, task, _PATHS)
    state = str(final.get("info.state"))
    log.info("vSphere task ended", task=task._moId, state=state, seconds=round(time.monotonic() - started, 1))
    if state == "error":
        raise final["info.error"]
    return final.get("info.result")
