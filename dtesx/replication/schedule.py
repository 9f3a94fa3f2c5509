"""Whether to transmit now, decided purely: clock, queue and counts in, a decision out.

Where criteria meet, the window binds all others, and a session start overrides the threshold.
Without any start criterion a session begins as soon as something is queued and the window is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dtesx.model.transmission import Transmission, Window

_LOOK_AHEAD = 400


class Why(StrEnum):
    """What a decision rests on."""

    SESSION = "a session is under way"
    WINDOW = "the window is closed"
    START = "the session start is not reached"
    THRESHOLD = "the queue is below its threshold"
    EMPTY = "the queue is empty"


@dataclass(frozen=True)
class Queued:
    """The queue's level: what it holds, and how much of its room that is (0 to 100)."""

    bytes: int
    percent: float


@dataclass(frozen=True)
class Session:
    """A stretch of transmission: how long it ran, and the bytes it sent."""

    lasted: timedelta = timedelta(0)
    sent: int = 0


@dataclass(frozen=True)
class Decision:
    """``bandwidth`` is in bytes per second, 0 unlimited; ``begins`` tells that a new session does.

    ``until`` is when the clock alone may change it.
    """

    transmit: bool
    why: Why
    until: datetime | None = None
    bandwidth: int = 0
    begins: bool = False


def decide(
    plan: Transmission, now: datetime, queued: Queued, session: Session | None, used: datetime
) -> Decision:
    """Whether to transmit at ``now`` (local time).

    ``session`` is the one under way, if any. Starts up to and including ``used`` have had their
    session or came before the plan was in force.
    """
    if plan.window is not None and plan.window.opened(now) is None:
        return Decision(False, Why.WINDOW, plan.window.opens_at_or_after(now))
    if session is not None and not _over(plan, queued, session):
        return _transmit(plan, now, session.lasted, begins=False)
    if not queued.bytes:
        return Decision(False, Why.EMPTY)
    if plan.interval is not None:
        point = _latest_point(plan, now)
        if point is None or point <= used or not _in_this_opening(plan.window, point, now):
            return Decision(False, Why.START, _next_point(plan, now))
    elif plan.start is not None:
        if now < plan.start:
            return Decision(False, Why.START, plan.start)
    elif queued.percent < plan.threshold:
        return Decision(False, Why.THRESHOLD)
    return _transmit(plan, now, timedelta(0), begins=True)


def _over(plan: Transmission, queued: Queued, session: Session) -> bool:
    return (
        not queued.bytes
        or (plan.time_limit is not None and session.lasted >= plan.time_limit)
        or (plan.byte_limit > 0 and session.sent >= plan.byte_limit)
    )


def _transmit(plan: Transmission, now: datetime, lasted: timedelta, *, begins: bool) -> Decision:
    changes: list[datetime] = []
    if plan.window is not None:
        changes.append(plan.window.closes_after(now))
    if plan.time_limit is not None:
        changes.append(now + plan.time_limit - lasted)
    bandwidth: int | None = None
    for rate in plan.rates:
        if rate.window.opened(now) is None:
            changes.append(rate.window.opens_at_or_after(now))
        else:
            changes.append(rate.window.closes_after(now))
            bandwidth = rate.bandwidth
            break
    if bandwidth is None:
        bandwidth = plan.bandwidth
    return Decision(True, Why.SESSION, min(changes, default=None), bandwidth, begins)


def _in_this_opening(window: Window | None, point: datetime, now: datetime) -> bool:
    opened = window.opened(now) if window is not None else None
    return opened is None or point >= opened


def _latest_point(plan: Transmission, now: datetime) -> datetime | None:
    assert plan.start is not None
    assert plan.interval is not None
    return plan.start + (now - plan.start) // plan.interval * plan.interval if now >= plan.start else None


def _next_point(plan: Transmission, now: datetime) -> datetime:
    """The first start after ``now`` that lies in the window; an earlier moment when that is far away."""
    assert plan.start is not None
    assert plan.interval is not None
    point = next_run(plan.start, plan.interval, now)
    for _ in range(_LOOK_AHEAD):
        if plan.window is None or plan.window.opened(point) is not None:
            break
        point = next_run(
            plan.start, plan.interval, plan.window.opens_at_or_after(point) - timedelta.resolution
        )
    return point


def next_run(start: datetime, interval: timedelta, after: datetime) -> datetime:
    """The first of ``start``, ``start + interval``, ... that is later than ``after``.

    This is also when a verification that repeats at an interval runs next.
    """
    return start if after < start else start + ((after - start) // interval + 1) * interval


class Scheduler:
    """Holds the session between decisions. ``now`` is when the plan comes into force (local time)."""

    def __init__(self, plan: Transmission, now: datetime) -> None:
        self._plan = plan
        self._used = now
        self._session: Session | None = None
        self._clock = 0.0
        self._sent = 0

    def look(self, now: datetime, clock: float, queued: Queued, sent: int) -> Decision:
        """Decide; ``clock`` is a monotonic one in seconds, ``sent`` counts all bytes sent so far."""
        session = self._session
        if session is not None:
            lasted = session.lasted + timedelta(seconds=clock - self._clock)
            session = Session(lasted, session.sent + sent - self._sent)
        self._clock, self._sent = clock, sent
        decision = decide(self._plan, now, queued, session, self._used)
        if decision.transmit:
            self._session = Session() if decision.begins else session
            self._used = now
        else:
            self._session = None
        return decision
