from __future__ import annotations

from collections.abc import Iterator

import pytest

from dtesx.base import retry


def test_delays_double_up_to_the_cap() -> None:
    assert list(retry.Backoff(first=1, cap=5, tries=6).delays()) == [1, 2, 4, 5, 5]


def test_an_action_is_repeated_until_it_works() -> None:
    slept: list[float] = []
    answers: Iterator[OSError | int] = iter([OSError("a"), OSError("b"), 7])

    def action() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert retry.call(action, on=OSError, backoff=retry.Backoff(tries=3), sleep=slept.append) == 7
    assert slept == [0.2, 0.4]


def test_the_last_error_is_raised_as_it_is() -> None:
    def action() -> None:
        raise OSError("always")

    with pytest.raises(OSError, match="always"):
        retry.call(action, on=OSError, backoff=retry.Backoff(tries=2), sleep=lambda _: None)


def test_waiting_ends_at_the_deadline() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = lambda: now[0]  # noqa: E731
    assert not retry.wait_until(lambda: False, timeout=1, clock=clock, sleep=sleep)
    assert retry.wait_until(lambda: now[0] > 1.5, timeout=9, clock=clock, sleep=sleep)
