from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from dtesx.base.errors import ConnectionFailed, DtesxError, Interrupted, UsageError
from dtesx.cli.repeating import repeat, times

START = datetime(2026, 11, 21, 2, 0)
HOUR = timedelta(hours=1)


class Day:
    """A clock that goes on when somebody sleeps or works."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.runs: list[datetime] = []
        self.told: list[datetime] = []
        self.errors: list[DtesxError] = []

    def run(self, *works: Callable[[], object]) -> None:
        left = list(works)

        def action() -> None:
            self.runs.append(self.now)
            if not left:
                raise Interrupted("enough", hint="-")
            left.pop(0)()

        with pytest.raises(Interrupted):
            repeat(
                action,
                START,
                HOUR,
                waiting=self.told.append,
                failed=self.errors.append,
                now=lambda: self.now,
                sleep=self.pass_by,
            )

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_the_first_and_those_after_it() -> None:
    day = Day(START - timedelta(minutes=7))
    day.run(lambda: None, lambda: day.pass_by(60))
    assert day.runs == day.told == [START, START + HOUR, START + 2 * HOUR]


def test_times_that_pass_meanwhile_are_left_out() -> None:
    day = Day(START + 5 * HOUR)
    day.run(lambda: day.pass_by(2.5 * 3600))
    assert day.runs == [START + 6 * HOUR, START + 9 * HOUR]


def test_one_that_fails_is_not_the_last() -> None:
    day, error = Day(START - HOUR), ConnectionFailed("away")

    def fail() -> None:
        raise error

    day.run(fail, fail)
    assert day.errors == [error, error]
    assert len(day.runs) == 3


def test_what_times_mean() -> None:
    assert times("", "") is None
    assert times("12h", "2026-11-21 02:00") == (START, 12 * HOUR)
    now = times("1h", "")
    assert now is not None
    assert now[1] == HOUR


@pytest.mark.parametrize(
    ("every", "start"),
    [("", "2026-11-21 02:00"), ("often", ""), ("0s", ""), ("1d", "soon"), ("1d", "2026-11-21 02:00+01:00")],
)
def test_times_that_mean_nothing(every: str, start: str) -> None:
    with pytest.raises(UsageError) as caught:
        times(every, start)
    assert "--every" in caught.value.hint
