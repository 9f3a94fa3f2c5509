from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dtesx.model.transmission import Rate, Transmission, Window
from dtesx.replication.schedule import Decision, Queued, Scheduler, Session, Why, decide, next_run

DAY = datetime(2026, 3, 10)
NIGHT = Window(time(21), time(4))
SOME = Queued(5000, 10)
NONE = Queued(0, 0)


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    return DAY + timedelta(days=day, hours=hour, minutes=minute)


def look(
    plan: Transmission, now: datetime, queued: Queued = SOME, session: Session | None = None
) -> Decision:
    return decide(plan, now, queued, session, used=at(0))


def test_without_criteria_what_is_queued_travels_at_once() -> None:
    assert look(Transmission(), at(12)) == Decision(True, Why.SESSION, begins=True)
    assert look(Transmission(), at(12), NONE).why is Why.EMPTY


@pytest.mark.parametrize(("hour", "is_open"), [(20, False), (21, True), (23, True), (3, True), (4, False)])
def test_a_window_over_midnight(hour: int, is_open: bool) -> None:
    decision = look(Transmission(window=NIGHT), at(hour, day=1))
    assert decision.transmit is is_open
    assert decision.until == (at(4, day=2 if hour > 20 else 1) if is_open else at(21, day=1))


def test_the_window_binds_a_start_outside_of_it() -> None:
    plan = Transmission(window=NIGHT, start=at(5), interval=timedelta(hours=5))
    assert look(plan, at(5)).why is Why.WINDOW
    assert look(plan, at(21)).until == at(1, day=1)  # 5, 10, 15, 20 lie outside; 25 is 1 o'clock


def test_sessions_that_could_never_start_are_refused() -> None:
    with pytest.raises(ValueError, match="no session"):
        Transmission(window=NIGHT, start=at(5), interval=timedelta(days=1))


def test_a_session_start_overrides_the_threshold() -> None:
    plan = Transmission(start=at(22), threshold=5)
    assert look(plan, at(12), Queued(9, 90)) == Decision(False, Why.START, at(22))
    assert look(plan, at(22), Queued(1, 1)).transmit


def test_a_threshold_begins_a_session_that_ends_when_the_queue_is_empty() -> None:
    plan = Transmission(threshold=40)
    scheduler = Scheduler(plan, at(0))
    levels = [(39, False), (40, True), (10, True), (1, True), (0, False), (39, False)]
    for second, (percent, expected) in enumerate(levels):
        assert scheduler.look(at(1), second, Queued(percent, percent), 0).transmit is expected


def test_the_product_s_example_of_an_interval() -> None:
    """From 22:00 every 30 minutes: emptied at 22:20, the next session begins at 22:30."""
    scheduler = Scheduler(Transmission(start=at(22), interval=timedelta(minutes=30)), at(12))
    assert scheduler.look(at(21, 59), 0, SOME, 0).until == at(22)
    assert scheduler.look(at(22), 60, SOME, 0).begins
    assert scheduler.look(at(22, 20), 1260, NONE, 9).why is Why.EMPTY
    assert scheduler.look(at(22, 21), 1320, SOME, 9) == Decision(False, Why.START, at(22, 30))
    assert scheduler.look(at(22, 30), 1860, SOME, 9).begins


def test_a_plan_that_comes_into_force_between_two_starts_waits_for_the_next() -> None:
    scheduler = Scheduler(Transmission(start=at(22), interval=timedelta(days=1)), at(14, day=3))
    assert scheduler.look(at(14, day=3), 0, SOME, 0).until == at(22, day=3)


def test_limits_end_a_session() -> None:
    plan = Transmission(
        start=at(1), interval=timedelta(hours=1), time_limit=timedelta(minutes=10), byte_limit=100
    )
    by_time = Scheduler(plan, at(0))
    assert by_time.look(at(1), 0, SOME, 50).until == at(1, 10)
    assert by_time.look(at(1, 9), 540, SOME, 50).transmit
    assert by_time.look(at(1, 10), 600, SOME, 50) == Decision(False, Why.START, at(2))
    by_bytes = Scheduler(plan, at(0))
    assert by_bytes.look(at(1), 0, SOME, 50).transmit
    assert by_bytes.look(at(1, 1), 60, SOME, 149).transmit
    assert not by_bytes.look(at(1, 2), 120, SOME, 150).transmit


def test_the_clock_of_the_wall_may_jump_without_ending_a_session() -> None:
    plan = Transmission(threshold=5, time_limit=timedelta(minutes=10))
    scheduler = Scheduler(plan, at(0))
    assert scheduler.look(at(1), 0, SOME, 0).begins
    assert not scheduler.look(at(2, 1), 60, SOME, 0).begins


def test_the_bandwidth_follows_the_clock() -> None:
    plan = Transmission(bandwidth=100_000, rates=(Rate(Window(time(8), time(18)), 10_000), Rate(NIGHT, 0)))
    seen = [(look(plan, at(hour)).bandwidth, look(plan, at(hour)).until) for hour in (7, 8, 18, 22)]
    assert seen == [(100_000, at(8)), (10_000, at(18)), (100_000, at(21)), (0, at(4, day=1))]


@pytest.mark.parametrize(
    "fields",
    [
        {"interval": timedelta(hours=1)},
        {"start": at(1), "interval": timedelta(seconds=30)},
        {"start": at(1), "byte_limit": 5},
        {"time_limit": timedelta(hours=1)},
        {"threshold": 101},
        {"bandwidth": -1},
    ],
)
def test_plans_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Transmission(**fields)  # type: ignore[arg-type]


def test_a_window_is_never_empty() -> None:
    with pytest.raises(ValueError, match="same time"):
        Window(time(5), time(5))


minutes = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
windows = st.builds(lambda a, b: Window(a, b) if a != b else None, minutes, minutes)
moments = st.integers(0, 4 * 86400).map(lambda second: DAY + timedelta(seconds=second))


@st.composite
def plans(draw: st.DrawFn) -> Transmission:
    start = draw(st.none() | moments)
    interval = draw(st.none() | st.integers(1, 3000).map(lambda m: timedelta(minutes=m)))
    fields: dict[str, Any] = {
        "window": draw(st.none() | windows),
        "start": start,
        "interval": interval if start else None,
        "threshold": draw(st.integers(0, 100)),
        "bandwidth": draw(st.integers(0, 9).map(lambda n: 5000 * n)),
        "rates": tuple(Rate(w, 5000 * n) for n, w in enumerate(draw(st.lists(windows, max_size=3))) if w),
    }
    if fields["interval"] or (fields["threshold"] and not start):
        limits = st.integers(1, 9000).map(lambda s: timedelta(seconds=s))
        fields |= {"time_limit": draw(st.none() | limits), "byte_limit": draw(st.integers(0, 9000))}
    try:
        return Transmission(**fields)
    except ValueError:
        assume(False)
        raise


levels = st.builds(Queued, st.integers(0, 9), st.floats(0, 100))
sessions = st.none() | st.builds(
    Session, st.integers(0, 9000).map(lambda s: timedelta(seconds=s)), st.integers(0, 9000)
)


@given(plans(), moments, levels, sessions, moments)
def test_nothing_travels_outside_the_window_before_the_start_or_without_data(
    plan: Transmission, now: datetime, queued: Queued, session: Session | None, used: datetime
) -> None:
    decision = decide(plan, now, queued, session, used)
    if decision.transmit:
        assert plan.window is None or plan.window.opened(now) is not None
        assert queued.bytes
        assert session or plan.start is None or now >= plan.start
        assert session or plan.start or queued.percent >= plan.threshold


@given(plans(), moments, levels, sessions, moments, st.integers(1, 3 * 86400))
def test_until_is_never_later_than_the_first_change(
    plan: Transmission, now: datetime, queued: Queued, session: Session | None, used: datetime, later: int
) -> None:
    decision = decide(plan, now, queued, session, used)
    moment = now + timedelta(seconds=later)
    assume(decision.until is None or moment < decision.until)
    if decision.transmit:
        before = timedelta(0) if decision.begins else session.lasted if session else timedelta(0)
        sent = session.sent if session and not decision.begins else 0
        session = Session(before + (moment - now), sent)
    else:
        session = None
    again = decide(plan, moment, queued, session, max(used, now) if decision.transmit else used)
    assert (again.transmit, again.bandwidth) == (decision.transmit, decision.bandwidth)
    assert decision.until is None or decision.until > now


@given(moments, st.integers(60, 10**6).map(lambda s: timedelta(seconds=s)), moments)
def test_the_next_run_is_the_first_on_the_grid_after_now(
    start: datetime, interval: timedelta, after: datetime
) -> None:
    run = next_run(start, interval, after)
    assert run > after
    assert (run - start) % interval == timedelta(0)
    assert run == start or run - interval <= after
