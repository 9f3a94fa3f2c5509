"""Paths that failed are looked at again, each when it is time for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.replication.continuous.failures import Failures


def test_what_fails_again_waits_twice_as_long_and_holds_up_nothing_else() -> None:
    failures, looked = Failures(), []
    failures.note(b"bad")
    for second in range(200):
        if b"bad" in failures.due(second):
            looked.append(second)
            failures.sent(second)
            failures.note(b"bad")
        failures.applied(second)
    assert looked == [1, 3, 7, 15, 31, 63, 123, 183]


def test_a_new_failure_is_due_in_a_second() -> None:
    failures = Failures()
    for second in (1, 3, 7):
        failures.note(b"bad")
        assert failures.due(second) == [b"bad"]
    failures.note(b"bad")
    failures.note(b"new")
    assert failures.due(8) == [b"new"]
    assert len(failures) == 2
    assert failures.waiting == 1
    failures.sent(5)
    failures.applied(4)
    assert len(failures) == 2
    failures.applied(5)
    assert len(failures) == 1


@given(st.lists(st.one_of(st.binary(max_size=1), st.integers(1, 90), st.none())))
def test_nothing_is_forgotten_before_it_succeeded(steps: list[bytes | int | None]) -> None:
    failures, now, epoch = Failures(), 0.0, 1
    failing, tried = set[bytes](), set[bytes]()
    for step in steps:
        if isinstance(step, bytes):
            failures.note(step)
            failing.add(step)
            tried.discard(step)
        elif step is None:
            failures.sent(epoch)
            failures.applied(epoch)
            epoch += 1
            tried.clear()
        else:
            now += step
            due = set(failures.due(now))
            assert due <= failing
            failing -= due
            tried |= due
        assert len(failures) == len(failing | tried)
    assert set(failures.due(now + 61)) == failing
