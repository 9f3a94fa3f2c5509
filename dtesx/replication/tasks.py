"""A target's tasks: run at most once for each request, whatever ends meanwhile; what came of them is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from dtesx.base.attended import attend
from dtesx.base.described import described
from dtesx.base.errors import CommandFailed, DtesxError, Interrupted
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.model.epoch import Epoch, InsertedTask
from dtesx.model.tasks import Task, TaskOutcome, TaskResult

log = get_logger(__name__)

_LEDGER = "tasks"
_OUTPUT = 4096
_KEPT = 30 * 86400.0  # longer than anybody waits for a result
_TICK = 0.1


@dataclass(frozen=True)
class Tasks:
    """The tasks of the place with its epochs in ``epochs``: those in ``known``, for the tree ``replica``.

    Beside the epochs each request has a file with its result.
    """

    epochs: Path
    known: Mapping[str, Task] = field(default_factory=dict)
    replica: str = ""

    def run(self, asked: InsertedTask, epoch: Epoch, wait: Callable[[], None]) -> TaskResult:
        """Run a task after ``epoch``, unless it was begun before: then the result is the one of then.

        ``wait`` waits a moment; it is called before the task is begun, and as long as it runs. When it raises
        Interrupted, that is raised and the task ended; what else it raises is ignored. Raises OSError
        when nothing can be noted: then the task was not begun.
        """
        if (before := self._before(asked)) is not None:
            return before
        result = TaskResult(asked.id, asked.name, epoch, TaskOutcome.UNKNOWN)
        task = self.known.get(asked.name)
        if task is None:
            return result
        _unless_interrupted(wait)
        self._note(replace(result, outcome=TaskOutcome.INTERRUPTED))  # which is so unless we get on
        log.info("a task runs", name=asked.name, epoch=epoch.number)
        result = self._carry_out(task, result, wait)
        log.info("a task has ended", name=asked.name, outcome=result.outcome, status=result.status)
        with suppress(OSError):  # it stays one that was interrupted, and is not run again
            self._note(result)
        return result

    def _carry_out(self, task: Task, result: TaskResult, wait: Callable[[], None]) -> TaskResult:
        epoch, began = result.epoch, time.monotonic()
        try:
            done = attend(
                task.command,
                wait=lambda: _unless_interrupted(wait),
                timeout=task.timeout,
                keep=_OUTPUT,
                user=task.user,
                env={
                    "DTESX_TASK": result.name,
                    "DTESX_REPLICA": self.replica,
                    "DTESX_EPOCH": str(epoch.number),
                    "DTESX_EPOCH_KIND": str(epoch.kind),
                    "DTESX_EPOCH_TAKEN": f"{epoch.taken:.6f}",
                },
            )
        except CommandFailed as error:
            return replace(result, outcome=TaskOutcome.FAILED, output=error.message)
        outcome = TaskOutcome.ENDED if done.in_time else TaskOutcome.TIMEOUT
        output, seconds = done.output.decode(errors="replace"), round(time.monotonic() - began, 3)
        return replace(result, outcome=outcome, status=done.status, output=output, seconds=seconds)

    def _before(self, asked: InsertedTask) -> TaskResult | None:
        try:
            return msgspec.json.decode(self._file(asked.id).read_bytes(), type=described(TaskResult))
        except FileNotFoundError:
            return None

    def _note(self, result: TaskResult) -> None:
        for file in private_directory(self.epochs / _LEDGER).iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - _KEPT:
                    file.unlink()
        write_atomic(self._file(result.id), msgspec.json.encode(result))

    def _file(self, number: str) -> Path:
        return self.epochs / _LEDGER / f"{number}.json"


def _unless_interrupted(wait: Callable[[], None]) -> None:
    try:
        wait()
    except Interrupted:
        raise
    except DtesxError:  # of whoever asked; it is raised again when the task has ended
        time.sleep(_TICK)
