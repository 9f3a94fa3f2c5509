"""Runs a list of named steps one after the other, shows them, and keeps their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dtesx.cli.demo.report import StepReport
from dtesx.cli.steps import StepsView
from dtesx.model.job import Step, StepState

Say = Callable[[str, float], None]
"""Tells what a step is doing: a line, and how far it is (0..1, negative: unknown)."""


@dataclass(frozen=True)
class DemoStep:
    """A step; ``action`` returns a line on what came out."""

    name: str
    title: str
    action: Callable[[], str]


class Runner:
    """Keeps the state of all steps; a step that raises is marked failed and its error goes through."""

    def __init__(self, title: str, view: StepsView) -> None:
        self._title = title
        self._view = view
        self._shown: list[Step] = []
        self._current = 0

    def plan(self, steps: Sequence[DemoStep]) -> None:
        """Show what is going to be run."""
        self._shown = [Step(step.name, step.title) for step in steps]

    def run(self, *steps: DemoStep) -> None:
        """Run planned steps one after the other; what a step raises ends the run."""
        names = [step.name for step in self._shown]
        for step in steps:
            self._current = names.index(step.name)
            self._one(step)

    def say(self, line: str, fraction: float = -1.0) -> None:
        """Tell what the running step is doing (a Say)."""
        self._set(detail=line, fraction=fraction)

    def close(self) -> None:
        """End the showing."""
        self._view.close()

    def report(self) -> tuple[StepReport, ...]:
        """The steps that ran, with their times."""
        return tuple(
            StepReport(
                name=step.name,
                seconds=round(step.seconds, 2),
                ok=step.state is StepState.DONE,
                title=step.title,
                detail=step.detail,
            )
            for step in self._shown
            if step.started
        )

    def _one(self, step: DemoStep) -> None:
        self._set(state=StepState.RUNNING, started=time.time())
        try:
            detail = step.action()
        except BaseException:
            self._set(state=StepState.FAILED, ended=time.time())
            raise
        self._set(state=StepState.DONE, ended=time.time(), detail=detail)

    def _set(self, **changes: Any) -> None:
        self._shown[self._current] = replace(self._shown[self._current], **changes)
        self._view.show(self._title, self._shown)
