"""What a one-shot mirror shows while it runs."""

from __future__ import annotations

import pytest

from dtesx.cli.mirror_view import Lines, Pace, describe
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_pace_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(0)
    assert pace.rate == 0
    for second in range(1, 11):
        clock.now = 100.0 + second
        pace.note(1000 * second)
    assert pace.rate == 1000
    for second in range(11, 21):
        clock.now = 100.0 + second
        pace.note(10_000)
    assert pace.rate == 0


def test_a_pace_never_goes_backwards() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(5000)
    clock.now += 1
    pace.note(10)  # a new attempt counts what it skips anew
    assert pace.rate == 0


MIB = 1 << 20


@pytest.mark.parametrize(
    ("phase", "stats", "rate", "text"),
    [
        (MirrorPhase.CONNECTING, MirrorStats(), 0.0, "connecting"),
        (
            MirrorPhase.CALCULATING,
            MirrorStats(files_total=7, bytes_total=2 * MIB),
            0.0,
            "calculating: 7 files, 2.0 MiB",
        ),
        (
            MirrorPhase.RUNNING,
            MirrorStats(100, 10, 15, 100 * MIB, 20 * MIB, bytes_skipped=5 * MIB),
            5.0 * MIB,
            "25 of 100 files, 25.0 MiB of 100.0 MiB, 5.0 MiB/s, 25%, 15.0 s left",
        ),
        (
            MirrorPhase.RUNNING,
            MirrorStats(files_sent=3, bytes_sent=MIB),
            MIB,
            "3 files, 1.0 MiB, 1.0 MiB/s",
        ),
        (
            MirrorPhase.RUNNING,
            MirrorStats(2, 3, 0, 100, 130),
            0.0,
            "3 of 2 files, 130 B of 100 B, 0 B/s, 100%",
        ),
    ],
)
def test_one_line_says_it_all(phase: MirrorPhase, stats: MirrorStats, rate: float, text: str) -> None:
    assert describe(phase, stats, rate) == text


def test_a_log_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    lines.show(MirrorPhase.CONNECTING, MirrorStats())
    for second in range(25):
        clock.now = 200.0 + second
        lines.show(MirrorPhase.RUNNING, MirrorStats(files_sent=second))
    lines.close()
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "connecting",
        "10 files",
        "20 files",
    ]
