"""Reads the file of ``--tasks``: the commands that sources may have a target run (docs/replicate.md)."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from pathlib import Path

from dtesx.base.errors import UsageError
from dtesx.cli import yaml_file
from dtesx.model.tasks import Task, TasksSpec

_HINT = "docs/replicate.md explains the fields"


def load(path: Path) -> Mapping[str, Task]:
    """Read a file of tasks; UsageError names file, line and field, and users that do not exist."""
    spec = yaml_file.load(path, TasksSpec, "a file of tasks", hint=_HINT)
    tasks = {name: task.task() for name, task in spec.tasks.items()}
    for name, task in tasks.items():
        try:
            if task.user:
                pwd.getpwnam(task.user)
        except KeyError as error:
            raise UsageError(
                f"{path}: tasks.{name}.user: there is no user {task.user} here", hint=_HINT
            ) from error
    return tasks
