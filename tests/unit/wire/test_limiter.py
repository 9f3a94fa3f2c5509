from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.transmission import MIN_BANDWIDTH
from dtesx.wire.limiter import Limiter, tls_bytes, tls_room

rates = st.integers(MIN_BANDWIDTH, 10**10)


@given(rates, st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 1)), min_size=1, max_size=80))
def test_no_second_sees_more_than_the_rate(rate: int, moves: list[tuple[float, float]]) -> None:
    now = 100.0
    limiter = Limiter(rate, clock=lambda: now)
    sent: list[tuple[float, int]] = []
    for wait, share in moves:
        now += wait
        allowed = limiter.allowance()
        assert allowed is not None
        count = int(allowed * share)
        limiter.spend(count)
        sent.append((now, count))
    for start, _ in sent:
        assert sum(count for when, count in sent if start <= when < start + 1) <= rate


@given(rates)
def test_a_busy_sender_gets_most_of_the_rate(rate: int) -> None:
    now = 0.0
    limiter = Limiter(rate, clock=lambda: now)
    total = 0
    while now < 10:
        now += limiter.pause()
        allowed = limiter.allowance() or 0
        limiter.spend(allowed)
        total += allowed
    assert 0.85 * 10 * rate <= total <= 10 * rate


def test_the_rate_may_change_while_it_runs() -> None:
    now = 0.0
    limiter = Limiter(1_000_000, clock=lambda: now)
    now = 10.0
    assert limiter.allowance() == 50_000
    limiter.rate = 10_000
    assert limiter.allowance() == 500
    limiter.rate = 0
    assert limiter.allowance() is None


def test_what_was_sent_without_a_limit_is_not_owed() -> None:
    now = 0.0
    limiter = Limiter(0, clock=lambda: now)
    assert limiter.allowance() is None
    limiter.spend(10**9)
    limiter.rate, now = 1_000_000, 1.0
    assert limiter.allowance() == 50_000


@given(st.integers(0, 10**7))
def test_tls_takes_its_share(count: int) -> None:
    room = tls_room(count)
    assert tls_bytes(room) <= count or room == 0
    assert tls_bytes(room + 45) > count
