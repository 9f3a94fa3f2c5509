from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.replication import Point
from dtesx.model.tasks import TaskOutcome, TaskResult
from dtesx.replication.continuous.points import Points, Ticket


def epoch(number: int) -> Epoch:
    return Epoch(number, EpochKind.FUZZY, 10.0 * number)


def test_a_point_is_the_epoch_that_was_drained_after_it_was_asked_for() -> None:
    points = Points()
    points.gather()
    ticket = points.ask(consistent=False)
    points.sent(epoch(1))
    points.applied(1, 0)
    assert (ticket.reached.is_set(), points.asked, points.gathered) == (False, True, False)
    points.gather()
    assert (points.asked, points.gathered) == (False, True)
    points.sent(epoch(2))
    points.applied(3, 4)
    assert ticket.point == Point(2, EpochKind.FUZZY, 20.0, failed=4)
    assert not points.gathered


def test_who_waits_for_any_epoch_does_not_wait_for_a_consistent_one() -> None:
    points = Points()
    points.ask(consistent=True)
    points.gather()
    points.ungather()
    assert (points.asked, points.gathered) == (False, True)
    points.ask(consistent=False)
    points.gather()
    points.ungather()
    assert (points.asked, points.gathered) == (True, True)


def test_what_was_lost_is_another_epoch() -> None:
    points = Points()
    ticket = points.ask(consistent=False)
    points.gather()
    points.sent(epoch(5))
    points.lost()
    points.applied(9, 0)
    assert ticket.point is None
    assert points.gathered
    points.sent(epoch(10))
    points.applied(10, 0)
    assert ticket.point is not None
    assert ticket.point.number == 10


def test_nobody_waits_for_what_was_forgotten() -> None:
    points = Points()
    asked, gathered, sent = (points.ask(consistent=True) for _ in range(3))
    points.forget(asked)
    points.gather()
    points.forget(gathered)
    assert points.consistent
    points.sent(epoch(1))
    points.forget(sent)
    points.applied(1, 0)
    assert (points.asked, points.gathered, points.consistent) == (False, False, False)
    assert not sent.reached.is_set()


def test_a_task_is_waited_for_and_sent_again_as_the_same_one() -> None:
    points = Points()
    ticket = points.ask(consistent=False, task="backup")
    points.gather()
    (task,) = points.sent(epoch(1))
    points.applied(1, 0)
    assert (task.name, ticket.reached.is_set()) == ("backup", False)
    points.lost()
    assert points.sent(epoch(2)) == [task]
    assert points.sent(epoch(3)) == []
    result = TaskResult(task.id, "backup", epoch(1), TaskOutcome.ENDED)
    points.ended(TaskResult("another", "backup", epoch(1), TaskOutcome.ENDED), 0)
    assert not ticket.reached.is_set()
    points.ended(result, 4)
    assert (ticket.result, ticket.point) == (result, Point(1, EpochKind.FUZZY, 10.0, failed=4))
    points.lost()
    assert not points.gathered


def test_an_end_that_is_told_while_the_task_waits_to_be_sent_again() -> None:
    points = Points()
    ticket = points.ask(consistent=True, task="backup")
    points.gather()
    assert points.sent(epoch(1)) == []
    consistent = Epoch(2, EpochKind.CRASH, 20.0)
    (task,) = points.sent(consistent)
    points.lost()
    points.ended(TaskResult(task.id, "backup", consistent, TaskOutcome.INTERRUPTED), 0)
    assert (ticket.reached.is_set(), points.gathered) == (True, False)


def test_whether_what_is_forgotten_is_on_its_way() -> None:
    points = Points()
    asked, sent = points.ask(consistent=False, task="one"), points.ask(consistent=False, task="two")
    assert not points.forget(asked)
    points.gather()
    assert [task.name for task in points.sent(epoch(1))] == ["two"]
    assert points.forget(sent)
    points.lost()
    assert not points.gathered


@given(st.lists(st.sampled_from(["ask", "drain", "send", "apply", "lose"]), max_size=60))
def test_no_point_is_older_than_its_request_and_none_is_forgotten(steps: list[str]) -> None:
    points, number, applied, drained = Points(), 0, 0, 0
    asked: list[tuple[int, Ticket]] = []  # with the number of drains until then
    drains: dict[int, int] = {}  # what epochs hold
    for step in [*steps, "drain", "send", "apply"]:
        if step == "ask":
            asked.append((drained, points.ask(consistent=False)))
        elif step == "drain":
            points.gather()
            drained += 1
        elif step == "send":
            number += 1
            drains[number] = drained
            points.sent(epoch(number))
        elif step == "apply":
            applied = number
            points.applied(applied, 0)
        else:
            number = applied
            points.lost()
        for before, ticket in asked:
            if ticket.point is not None:
                assert drains[ticket.point.number] > before
    assert all(ticket.reached.is_set() for _, ticket in asked)
