from __future__ import annotations

from dtesx.base import retry


def test_delays_double_up_to_the_cap() -> None:
    assert list(retry.Backoff(first=1, cap=5, tries=6).delays()) == [1, 2, 4, 5, 5]


def test_waiting_ends_at_the_deadline() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = lambda: now[0]  # noqa: E731
    assert not retry.wait_until(lambda: False, timeout=1, clock=clock, sleep=sleep)
    assert retry.wait_until(lambda: now[0] > 1.5, timeout=9, clock=clock, sleep=sleep)
