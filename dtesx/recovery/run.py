"""One operation on its way: its steps, its job record, and what they may touch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dtesx.base.errors import DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.model.job import Operation, Problem, Step, StepState
from dtesx.model.record import JobRecord
from dtesx.recovery.ports import Surroundings

log = get_logger(__name__)

_DETAIL_INTERVAL = 0.5


@dataclass
class Run:
    """The mutable state of one operation; every change of it is made durable by the journal."""

    operation: Operation
    record: JobRecord
    site: Surroundings
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _current: str = ""
    _shown: float = field(default=0.0)

    @property
    def job(self) -> str:
        """The job's id, by which workers and sources know it."""
        return self.record.id

    def param(self, name: str) -> bool:
        """A yes/no parameter of the operation; absent means no."""
        return self.operation.params.get(name, "") == "yes"

    def check(self) -> None:
        """Raise Interrupted when the service is being stopped."""
        if self.site.cancel.is_set():
            raise Interrupted(
                "the management service was stopped meanwhile",
                hint="run the same command again to go on",
            )

    def pause(self, seconds: float) -> None:
        """Wait a little, unless the service is being stopped."""
        self.check()
        self.sleep(seconds)

    def keep(self, record: JobRecord) -> None:
        """Make a changed job record durable."""
        self.record = record
        self.site.journal.save_job(record)

    def result(self, **values: str) -> None:
        """Add to what the operation gives back."""
        self.operation = replace(self.operation, result={**self.operation.result, **values})

    def detail(self, text: str, fraction: float = -1.0) -> None:
        """Say how far the current step is; stored at most twice a second."""
        self._change(self._current, detail=text, fraction=fraction)
        if self.clock() - self._shown >= _DETAIL_INTERVAL:
            self._save()

    def percent(self, percent: int) -> None:
        """Say how far a task of the current step is."""
        detail = next(step.detail for step in self.operation.steps if step.name == self._current)
        self.detail(detail, percent / 100)

    def step(self, name: str, action: Callable[[Run], None]) -> None:
        """Run one step to its end and record its state and time; errors pass through."""
        self.check()
        self._current = name
        self._change(name, state=StepState.RUNNING, started=self.clock(), ended=0.0, detail="")
        self._save()
        try:
            action(self)
        except Interrupted:
            self._finish(name, StepState.INTERRUPTED)
            raise
        except BaseException:
            self._finish(name, StepState.FAILED)
            raise
        self._finish(name, StepState.DONE)

    def end(self, state: StepState, problem: Problem | None) -> None:
        """Close the operation."""
        self.operation = replace(self.operation, state=state, problem=problem, ended=self.clock())
        self._save()

    def _finish(self, name: str, state: StepState) -> None:
        self._change(name, state=state, ended=self.clock())
        self._save()
        log.info("step", job=self.record.spec.name, step=name, state=state.value)

    def _change(self, name: str, **changes: object) -> None:
        steps = tuple(_changed(s, changes) if s.name == name else s for s in self.operation.steps)
        self.operation = replace(self.operation, steps=steps)

    def _save(self) -> None:
        self._shown = self.clock()
        self.site.journal.save_operation(self.operation)


def _changed(step: Step, changes: dict[str, object]) -> Step:
    return replace(step, **changes)  # type: ignore[arg-type]  # field names are literals above


def problem_of(error: DtesxError) -> Problem:
    """An error as the journal and the API keep it."""
    return Problem(error.code, error.message, error.hint)
