"""Ending processes by their ids, and waiting until they are gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.retry import wait_until


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def children_of(pid: int) -> tuple[int, ...]:
    """The direct children of a process's main thread."""
    try:
        return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except FileNotFoundError:
        return ()


def terminate(pids: Iterable[int], *, patience: float = 0.0) -> None:
    """End processes: SIGTERM and ``patience`` seconds when given, then SIGKILL; wait for the end.

    Children of this process are reaped by whoever started them. Raises CommandFailed when a
    process stays (it hangs in the kernel).
    """
    pids = [pid for pid in pids if pid != os.getpid()]
    if patience:
        _signal(pids, signal.SIGTERM)
        wait_until(lambda: not any(map(is_alive, pids)), timeout=patience, interval=0.05)
    _signal(pids, signal.SIGKILL)
    if not wait_until(lambda: not any(map(is_alive, pids)), timeout=20, interval=0.05):
        stuck = [pid for pid in pids if is_alive(pid)]
        raise CommandFailed(
            f"processes {stuck} cannot be killed", hint="they hang in the kernel; see dmesg, then reboot"
        )


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
