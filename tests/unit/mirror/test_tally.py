from __future__ import annotations

from dtesx.mirror.tally import MAX_PROBLEMS, Tally


def test_a_second_attempt_does_not_count_twice() -> None:
    tally = Tally(clock=lambda: 0.0)
    tally.files_total, tally.bytes_total = 10, 100
    tally.restart()
    tally.files_skipped, tally.bytes_skipped = 2, 20
    tally.files_sent, tally.bytes_sent = 3, 30
    tally.restart()
    assert (tally.stats().files_skipped, tally.stats().files_sent) == (0, 3)
    tally.files_skipped, tally.bytes_skipped = 5, 50  # the two of before, and what was sent by then
    tally.files_sent, tally.bytes_sent = 8, 80
    stats = tally.stats()
    assert (stats.files_skipped + stats.files_sent, stats.bytes_skipped + stats.bytes_sent) == (10, 100)


def test_a_settled_root_stands() -> None:
    tally = Tally(clock=lambda: 0.0)
    tally.restart()
    tally.files_sent, tally.files_skipped, tally.sockets_skipped = 4, 6, 1
    tally.settle()
    tally.restart()
    tally.files_skipped += 1
    tally.restart()
    tally.files_skipped += 5
    stats = tally.stats()
    assert (stats.files_sent, stats.files_skipped, stats.sockets_skipped) == (4, 11, 1)


def test_without_a_calculation_the_totals_are_what_was_found() -> None:
    tally = Tally()
    tally.restart()
    tally.files_found, tally.bytes_found = 10, 100
    tally.settle()
    tally.restart()
    tally.files_found += 3  # an attempt that breaks off
    tally.restart()
    tally.files_found += 4
    tally.bytes_found += 5
    tally.settle()
    assert tally.stats().files_total == 0
    tally.conclude()
    assert (tally.stats().files_total, tally.stats().bytes_total) == (14, 105)


def test_problems_are_kept_readable_once_each_and_bounded() -> None:
    tally = Tally()
    tally.problem(b"/bad\xff\nname", "first")
    tally.problem(b"/bad\xff\nname", "again")
    for number in range(MAX_PROBLEMS + 10):
        tally.problem(b"/%d" % number, "x")
    stats = tally.stats()
    assert stats.problems[0].path == "/bad\\xff\nname"
    assert stats.problems[0].reason == "first"
    assert len(stats.problems) == MAX_PROBLEMS
    assert stats.problems_total == MAX_PROBLEMS + 11
