"""Telling why something takes long: where our threads stand, and what the kernel lets wait."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.log import get_logger

log = get_logger(__name__)


@contextmanager
def explained(what: str, *, after: float) -> Iterator[None]:
    """Run the block. If it still runs ``after`` seconds later, log once where everything stands then.

    The report has the Python stack of every thread of this process and the kernel stack of every
    uninterruptible task of the host: what we wait for is often done by one that is not ours, such as
    the worker of a loop device.
    """
    timer = threading.Timer(after, _report, (what, after))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def thread_stacks() -> dict[str, list[str]]:
    """The Python stack of every thread, outermost call first: ``name`` to ``file:line function``."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(ident, 'unknown')} ({ident})": [
            f"{call.filename}:{call.lineno} {call.name}" for call in traceback.extract_stack(frame)
        ]
        for ident, frame in sys._current_frames().items()
    }


def waiting_tasks(proc: Path = Path("/proc")) -> dict[str, list[str]]:
    """The host's tasks in uninterruptible sleep (state D, proc(5)): ``id name`` to the kernel's stack.

    A stack is empty where only root of the host may read it.
    """
    found: dict[str, list[str]] = {}
    for task in proc.glob("[0-9]*/task/[0-9]*"):
        try:
            head, _, state = (task / "stat").read_text().rpartition(") ")
        except OSError:  # it ended meanwhile
            continue
        if state.startswith("D"):
            found[head.replace("(", "", 1)] = _kernel_stack(task)
    return found


def _kernel_stack(task: Path) -> list[str]:
    try:
        return [line.rpartition(" ")[2] for line in (task / "stack").read_text().splitlines()]
    except OSError:
        return []


def _report(what: str, seconds: float) -> None:
    log.warning("it takes long", what=what, seconds=seconds, threads=thread_stacks(), waiting=waiting_tasks())
