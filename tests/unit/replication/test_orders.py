from __future__ import annotations

import threading

import pytest

from dtesx.base.errors import Conflict
from dtesx.model.epoch import QueueAction, QueueOrder, TargetQueue
from dtesx.replication.orders import Orders

ORDER = QueueOrder(QueueAction.SHOW, "www")
BY_SESSION, ALONE = TargetQueue(None, ()), TargetQueue(None, ())


def _fails(_order: QueueOrder) -> TargetQueue:
    raise Conflict("no", hint="later")


def test_who_gives_an_order_carries_it_out_where_no_session_is() -> None:
    assert Orders().order(ORDER, lambda _: ALONE) is ALONE


@pytest.mark.parametrize("fails", [False, True])
def test_a_session_carries_it_out_when_it_gets_to_it(fails: bool) -> None:
    orders, woken, answers = Orders(), threading.Event(), list[object]()

    def give() -> None:
        try:
            answers.append(orders.order(ORDER, _fails))
        except Conflict as error:
            answers.append(error.message)

    with orders.held(woken.set):
        thread = threading.Thread(target=give)
        thread.start()
        assert woken.wait(10)
        orders.serve(_fails if fails else lambda _: BY_SESSION)
        thread.join(10)
    assert answers == (["no"] if fails else [BY_SESSION])


def test_an_order_that_a_session_left_undone_is_told_so() -> None:
    orders, woken, answers = Orders(), threading.Event(), list[str]()

    def give() -> None:
        with pytest.raises(Conflict, match="left meanwhile") as caught:
            orders.order(ORDER, _fails)
        answers.append(caught.value.hint)

    with orders.held(woken.set):
        thread = threading.Thread(target=give)
        thread.start()
        assert woken.wait(10)
    thread.join(10)
    assert answers == ["give the same command again"]


def test_what_a_session_has_nobody_else_gets_until_it_leaves() -> None:
    orders, done = Orders(), list[str]()
    with orders.held(lambda: None):
        orders.unless_held(lambda: done.append("missed"))
        assert done == []
    orders.at_last(lambda: done.append("last"))
    assert done == ["missed", "last"]
    with orders.held(lambda: None):
        pass
    orders.unless_held(lambda: done.append("at once"))
    assert done == ["missed", "last", "at once"]
