"""The one way dtesx waits for vSphere tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from dtesx.base.errors import VSphereError
from dtesx.base.log import get_logger
from dtesx.vsphere.collector import TimedOut, properties, watch
from dtesx.vsphere.session import Session

log = get_logger(__name__)

# Separate paths: the whole ``info`` names the task's entity with a type that not every server fills.
_PATHS = ("info.state", "info.error", "info.result")

TASK_TIMEOUT = 4 * 3600.0
"""Seconds: a thick disk is zeroed block by block, and a busy array takes its time."""


def run_task(session: Session, start: Callable[[], Any], *, timeout: float = TASK_TIMEOUT) -> Any:
    """Start a task by ``start`` and wait for its end; return its result.

    Raises the task's own fault (explained by the caller), or VSphereError after ``timeout`` seconds.
    """
    task = session.change(start)
    started = time.monotonic()
    try:
        watch(session, task, _PATHS, timeout=timeout, found=_ended)
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


def _ended(values: Mapping[str, Any]) -> bool | None:
    return True if str(values.get("info.state", "")) in ("success", "error") else None
