"""Doing something again and again at set times."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

from dtesx.base.errors import DtesxError, Interrupted, UsageError
from dtesx.model.quantities import parse_duration, parse_moment
from dtesx.replication.schedule import next_run

_NAP = 30.0


def repeat(
    action: Callable[[], object],
    start: datetime,
    interval: timedelta,
    *,
    waiting: Callable[[datetime], object],
    failed: Callable[[DtesxError], object],
    now: Callable[[], datetime] = datetime.now,
    sleep: Callable[[float], object] = time.sleep,
) -> NoReturn:
    """Call ``action`` at ``start`` and at every ``interval`` after it (local time), until it is interrupted.

    A time that passes while it runs is left out. ``waiting`` gets the time of the next call,
    ``failed`` the error that ended one. Naps are short, because clocks are set.
    """
    while True:
        due = next_run(start, interval, now())
        waiting(due)
        while (left := (due - now()).total_seconds()) > 0:
            sleep(min(left, _NAP))
        try:
            action()
        except Interrupted:
            raise
        except DtesxError as error:
            failed(error)


def times(every: str, start: str) -> tuple[datetime, timedelta] | None:
    """What ``--every`` and ``--start`` mean; None for neither. Raises UsageError."""
    if not every:
        if start:
            raise UsageError("--start is about what is repeated", hint="give --every, too: --every 1d")
        return None
    try:
        first = parse_moment(start) if start else datetime.now()
        interval = timedelta(seconds=parse_duration(every))
        if not interval:
            raise ValueError("an interval takes some time")
        if first.tzinfo is not None:
            raise ValueError("local times have no time zone")
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--every, --start: {error}", hint='write --every 1d --start "2026-11-21 02:00"'
        ) from error
    return first, interval
