"""The demo's steps: order, times, failures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dtesx.base.errors import DtesxError
from dtesx.cli.demo.runner import DemoStep, Runner
from dtesx.model.job import Step, StepState


class _View:
    def __init__(self) -> None:
        self.shown: list[list[Step]] = []
        self.closed = False

    def show(self, title: str, steps: Sequence[Step]) -> None:
        self.shown.append(list(steps))

    def close(self) -> None:
        self.closed = True


def test_steps_run_in_order_and_report_what_came_out() -> None:
    view = _View()
    runner = Runner("demo", view)
    said: list[str] = []

    def first() -> str:
        runner.say("half", 0.5)
        said.append("first")
        return "one result"

    def second() -> str:
        said.append("b")
        return "two"

    steps = (DemoStep("a", "A", first), DemoStep("b", "B", second))
    runner.plan(steps)
    runner.run(*steps)
    report = runner.report()
    assert said == ["first", "b"]
    assert [(r.name, r.ok, r.detail) for r in report] == [("a", True, "one result"), ("b", True, "two")]
    assert any(s[0].state is StepState.RUNNING and s[0].fraction == 0.5 for s in view.shown)
    assert view.shown[0][1].state is StepState.PENDING


@pytest.mark.parametrize("error", [DtesxError("no"), KeyboardInterrupt()])
def test_a_failing_step_ends_the_run_and_is_reported(error: BaseException) -> None:
    def fail() -> str:
        raise error

    runner = Runner("demo", _View())
    steps = (DemoStep("a", "A", fail), DemoStep("b", "B", lambda: "never"), DemoStep("c", "C", lambda: ""))
    runner.plan(steps)
    with pytest.raises(type(error)):
        runner.run(*steps[:2])
    runner.run(steps[2])
    assert [(r.name, r.ok) for r in runner.report()] == [("a", False), ("c", True)]
