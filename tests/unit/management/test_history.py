from __future__ import annotations

from pathlib import Path

from dtesx.management.history import SIZE, History, read
from dtesx.model.replication import ReplicationSample, ReplicationState


def sample(at: float) -> ReplicationSample:
    counts = (1, 2, 3, 4, 5, 6, 8, 9)
    return ReplicationSample(at, *counts, 2**63, ReplicationState.READY, 7, latency=1.5, events=2**40)


def test_what_was_added_is_read_again(tmp_path: Path) -> None:
    for start in (0, 10):
        history = History(tmp_path)
        for at in range(start, start + 10):
            history.add(sample(float(at)))
        history.close()
    assert read(tmp_path) == [sample(float(at)) for at in range(20)]
    assert read(tmp_path, since=15.0) == [sample(float(at)) for at in range(15, 20)]
    assert SIZE - 200 < (tmp_path / "history").stat().st_size <= SIZE
