from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.target import TargetOptions
from dtesx.replication import backlog
from dtesx.replication.backlog import Backlog


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Backlog:
    """Marks at 40 and 20 bytes."""
    monkeypatch.setattr(backlog, "memory", lambda: 200)
    return Backlog(TargetOptions())


def test_it_is_high_until_it_is_below_the_low_mark(marked: Backlog) -> None:
    held = (0, 39, 40, 39, 20, 19, 39, 41, 0)
    assert [marked.note("www", size) for size in held] == [
        *(False, False, True, True, True),
        *(False, False, True, False),
    ]


def test_all_sessions_count(marked: Backlog) -> None:
    assert not marked.note("www", 30)
    assert marked.note("mail", 30)
    assert marked.note("www", 30)
    assert marked.note("mail", 0)
    assert not marked.note("www", 0)
    assert not marked.note("mail", 39)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=60))
def test_it_is_the_sum_of_what_each_said_last(notes: list[tuple[int, int]]) -> None:
    marked = Backlog(TargetOptions(memory_high=20, memory_low=20))
    mark = backlog.memory() * 20 // 100
    last: dict[int, int] = {}
    for session, share in notes:
        last[session] = held = mark * share // 100
        assert marked.note(session, held) is (sum(last.values()) >= mark)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry_delay": 0},
        {"retry_delay": 4000},
        {"memory_low": 0},
        {"memory_low": 30},
        {"memory_high": 90},
        {"queue_limit": -1},
        {"queue_free": -1},
    ],
)
def test_what_no_target_can_keep_to(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TargetOptions(**wrong)
