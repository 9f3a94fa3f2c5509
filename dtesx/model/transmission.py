"""When and how fast data may travel: windows, sessions, limits. Times are local wall-clock times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta

DAY = timedelta(days=1)

MIN_BANDWIDTH = 4096
"""The lowest bandwidth limit (bytes/s) that can be kept to."""


@dataclass(frozen=True)
class Window:
    """A span of every day, from ``opens`` up to, not including, ``closes``; it may pass midnight."""

    opens: time
    closes: time

    def __post_init__(self) -> None:
        if self.opens == self.closes:
            raise ValueError("a window must not open and close at the same time")

    def opened(self, now: datetime) -> datetime | None:
        """When the window opened that is open at ``now``; None when it is closed."""
        latest = datetime.combine(now.date(), self.opens)
        if latest > now:
            latest -= DAY
        return latest if now < self.closes_after(latest) else None

    def closes_after(self, moment: datetime) -> datetime:
        """The first closing after ``moment``."""
        closing = datetime.combine(moment.date(), self.closes)
        return closing if closing > moment else closing + DAY

    def opens_at_or_after(self, moment: datetime) -> datetime:
        """The first opening at ``moment`` or later."""
        opening = datetime.combine(moment.date(), self.opens)
        return opening if opening >= moment else opening + DAY


@dataclass(frozen=True)
class Rate:
    """A bandwidth limit in bytes per second that holds while its window is open; 0 is unlimited."""

    window: Window
    bandwidth: int

    def __post_init__(self) -> None:
        check_bandwidth(self.bandwidth)


@dataclass(frozen=True)
class Transmission:
    """What binds a source when it transmits.

    ``window`` binds everything: nothing travels outside of it. ``start`` is the earliest moment;
    with ``interval`` a session begins at ``start`` and at every interval after it. Without a start,
    ``threshold`` (percent of the queue in use) begins a session; a start overrides it. A session
    lasts until the queue is empty, ``time_limit`` or ``byte_limit`` is used up (0: no limit), or
    the window closes. Of ``rates``, the first whose window is open sets the bandwidth in bytes per
    second, else ``bandwidth``; 0 is unlimited.
    """

    window: Window | None = None
    start: datetime | None = None
    interval: timedelta | None = None
    threshold: int = 0
    time_limit: timedelta | None = None
    byte_limit: int = 0
    bandwidth: int = 0
    rates: tuple[Rate, ...] = ()

    def __post_init__(self) -> None:
        if self.start is not None and self.start.tzinfo is not None:
            raise ValueError("start: a local time, without a time zone")
        if not 0 <= self.threshold <= 100:
            raise ValueError("threshold: a percentage from 1 to 100, or 0 for none")
        if self.byte_limit < 0:
            raise ValueError("byte_limit: must not be negative")
        check_bandwidth(self.bandwidth)
        if self.time_limit is not None and self.time_limit <= timedelta(0):
            raise ValueError("time_limit: must be longer than nothing")
        self._check_interval()
        limited = self.byte_limit or self.time_limit is not None
        if limited and self.interval is None and not (self.threshold and self.start is None):
            raise ValueError("a limit needs sessions: give start and interval, or threshold alone")

    def _check_interval(self) -> None:
        if self.interval is None:
            return
        if self.start is None:
            raise ValueError("interval: needs a start")
        if self.interval < timedelta(minutes=1) or self.interval % timedelta(seconds=1):
            raise ValueError("interval: whole seconds, at least a minute")
        if self.window is not None and not _ever_inside(self.window, self.start, self.interval):
            raise ValueError("no session would ever start while the window is open")


def check_bandwidth(limit: int) -> None:
    """Raise ValueError unless ``limit`` (bytes/s) can be kept to, or is 0 for none."""
    if limit and limit < MIN_BANDWIDTH:
        raise ValueError(f"bandwidth: at least {MIN_BANDWIDTH} bytes/s, or 0 for no limit")


def _ever_inside(window: Window, start: datetime, interval: timedelta) -> bool:
    # Sessions drift through the day in steps of the greatest common divisor of interval and day.
    step = timedelta(seconds=math.gcd(int(interval.total_seconds()), int(DAY.total_seconds())))
    opening = window.opens_at_or_after(start)
    first = start + -((start - opening) // step) * step
    return window.opened(first) is not None
