from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.cli import tasks_file
from dtesx.model.tasks import Task

WHOLE = """\
tasks:
  backup:
    command: [/usr/local/sbin/backup, --full]
    timeout: 2h
    user: root
  check:
    command: [true-of-all]
"""


def load(directory: Path, text: str) -> object:
    file = directory / "tasks.yaml"
    file.write_text(text)
    return tasks_file.load(file)


def test_a_file_of_tasks(tmp_path: Path) -> None:
    assert load(tmp_path, WHOLE) == {
        "backup": Task(("/usr/local/sbin/backup", "--full"), 7200, "root"),
        "check": Task(("true-of-all",), 3600, ""),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks:\n  backup:\n    timeout: 2h\n", "command is missing"),
        ("tasks:\n  backup:\n    command: []\n", "command: a list, the program first"),
        ("tasks:\n  backup:\n    command: /bin/true\n", "must be a list"),
        ("tasks:\n  backup:\n    command: [a]\n    timeout: soon\n", "is not a time"),
        ("tasks:\n  backup:\n    command: [a]\n    timeout: 0s\n", "more than 0 seconds"),
        ("tasks:\n  backup:\n    command: [a]\n    user: no such one\n", "there is no user no such one"),
        ("tasks:\n  backup:\n    command: [a]\n    shell: true\n", "shell"),
        ("task: {}\n", "did you mean tasks"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(tmp_path, text)
