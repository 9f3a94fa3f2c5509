from __future__ import annotations

from datetime import datetime, time, timedelta

from dtesx.model.transmission import Rate, Transmission, Window
from dtesx.replication.schedule import Queued
from dtesx.replication.timetable import Timetable

NIGHT = Window(time(22), time(4))
LITTLE = Queued(1000, 1.0)


class Clock:
    def __init__(self, hour: int) -> None:
        self.now = datetime(2026, 11, 21, hour)

    def timetable(self, plan: Transmission, limit: int = 0) -> Timetable:
        return Timetable(plan, limit, now=lambda: self.now, clock=lambda: self.now.timestamp())


def test_frames_wait_for_the_window_even_when_the_mirror_waits_for_them() -> None:
    clock = Clock(21)
    timetable = clock.timetable(Transmission(window=NIGHT))
    assert not timetable.look(LITTLE, 0, waits=True)
    assert timetable.holding
    clock.now += timedelta(hours=1)
    assert timetable.look(LITTLE, 0, waits=True)
    assert not timetable.holding


def test_an_empty_queue_holds_nothing() -> None:
    timetable = Clock(23).timetable(Transmission(window=NIGHT))
    assert not timetable.look(Queued(0, 0.0), 0, waits=False)
    assert not timetable.holding


def test_a_queue_that_will_not_become_fuller_has_reached_its_threshold() -> None:
    timetable = Clock(12).timetable(Transmission(threshold=50))
    assert not timetable.look(LITTLE, 0, waits=False)
    assert timetable.holding
    assert timetable.look(LITTLE, 0, waits=True)
    assert timetable.look(LITTLE, 0, waits=False), "a session lasts until the queue is empty"


def test_the_start_of_a_session_binds_what_the_mirror_waits_for() -> None:
    clock = Clock(12)
    timetable = clock.timetable(Transmission(start=clock.now + timedelta(hours=1), threshold=50))
    assert not timetable.look(LITTLE, 0, waits=True)
    clock.now += timedelta(hours=1)
    assert timetable.look(LITTLE, 0, waits=False)


def test_a_session_ends_after_so_many_bytes() -> None:
    clock = Clock(12)
    plan = Transmission(start=clock.now, interval=timedelta(hours=1), byte_limit=500)
    clock.now -= timedelta(hours=1)
    timetable = clock.timetable(plan)
    clock.now += timedelta(hours=1)
    assert timetable.look(LITTLE, 7000, waits=True)
    assert timetable.look(LITTLE, 7499, waits=True)
    assert not timetable.look(LITTLE, 7500, waits=True)


def test_the_lower_limit_of_link_and_plan_holds() -> None:
    clock = Clock(23)
    plan = Transmission(rates=(Rate(NIGHT, 50_000), Rate(Window(time(4), time(5)), 5_000)))
    timetable = clock.timetable(plan, 10_000)
    seen = []
    for _ in range(7):
        timetable.look(LITTLE, 0, waits=False)
        seen.append(timetable.bandwidth)
        clock.now += timedelta(hours=1)
    assert seen == [10_000] * 5 + [5_000, 10_000]
