"""Tasks: commands that a target runs between two epochs. It names them, and sources ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dtesx.model.epoch import Epoch
from dtesx.model.quantities import parse_duration


@dataclass(frozen=True)
class Task:
    """A command of a target: ``command`` is run without a shell, as ``user`` (empty: as the target itself).

    It is ended after ``timeout`` seconds.
    """

    command: tuple[str, ...]
    timeout: float = 3600.0
    user: str = ""


@dataclass(frozen=True)
class TaskSpec:
    """A task as users write it."""

    command: tuple[str, ...]
    timeout: str = "1h"
    user: str = ""

    def __post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise ValueError("command: a list, the program first")
        if not self.task().timeout:
            raise ValueError("timeout: more than 0 seconds")

    def task(self) -> Task:
        """What the text says; raises ValueError."""
        return Task(self.command, parse_duration(self.timeout), self.user)


@dataclass(frozen=True)
class TasksSpec:
    """The file that configures a target's tasks, by name."""

    tasks: Mapping[str, TaskSpec]


class TaskOutcome(StrEnum):
    """What became of a task.

    ENDED: its exit status tells. TIMEOUT: it was ended, as its time was over. INTERRUPTED: the target
    ended while it ran. FAILED: it could not be started. UNKNOWN: the target has none of that name.
    """

    ENDED = "ended"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TaskResult:
    """What became of the request ``id``: when it was dealt with, ``epoch`` was the last one applied.

    ``status`` is the exit status, negative a signal's number, 0 where there is none; ``output`` the end
    of what it wrote, or why it could not be started.
    """

    id: str
    name: str
    epoch: Epoch
    outcome: TaskOutcome
    status: int = 0
    output: str = ""
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Whether it ran to its end and says that all is well."""
        return self.outcome is TaskOutcome.ENDED and self.status == 0


@dataclass(frozen=True)
class TaskRequest:
    """Asks a replication to insert a task; with ``consistent`` after an epoch that is not fuzzy.

    ``wait``: for its result, at most so many seconds.
    """

    name: str
    consistent: bool = False
    wait: float = 3600.0


@dataclass(frozen=True)
class TaskReport:
    """A task that was inserted. ``failed`` paths are not on the replica as they were written before."""

    result: TaskResult
    failed: int = 0
