from __future__ import annotations

import pytest

from dtesx.model.quantities import parse_moment
from dtesx.model.snapshots import SnapshotSpec

HOUR = 3600.0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"every": "9m"}, "every: at least 10 minutes"),
        ({"every": "often"}, "every: 'often' is not a time"),
        ({"every": "1h", "keep": 0}, "keep: from 1 to 30"),
        ({"every": "1h", "keep": 31}, "keep: from 1 to 30"),
        ({"start": "2026-11-22 01:00"}, "start: needs `every`"),
        ({"every": "1h", "start": "soon"}, "start: 'soon' is no date"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SnapshotSpec(**fields)  # type: ignore[arg-type]


def test_the_first_is_due_at_once_and_then_one_each_time() -> None:
    spec = SnapshotSpec(every="1h")
    assert spec.due(10 * HOUR, 0.0)
    assert not spec.due(10.5 * HOUR, 10 * HOUR)
    assert spec.due(11 * HOUR, 10 * HOUR)
    assert spec.due(99 * HOUR, 10 * HOUR), "what was missed is made up for once"


def test_the_first_may_have_a_time() -> None:
    first = parse_moment("2026-11-22 01:00").timestamp()
    spec = SnapshotSpec(every="1h", start="2026-11-22 01:00")
    assert not spec.due(first - 1, 0.0)
    assert spec.due(first, 0.0)


def test_without_an_interval_none_is_due() -> None:
    assert not SnapshotSpec().due(1e9, 0.0)
