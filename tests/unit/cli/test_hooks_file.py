from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.cli import hooks_file
from dtesx.model.hooks import Hooks

WHOLE = """\
hooks:
  postgresql:
    quiesce: [/usr/local/sbin/checkpoint, --fast]
    release: [/usr/local/sbin/go-on]
    timeout: 1m
  files:
    quiesce: [sync]
"""


def load(directory: Path, text: str) -> object:
    file = directory / "hooks.yaml"
    file.write_text(text)
    return hooks_file.load(file)


def test_a_file_of_hooks(tmp_path: Path) -> None:
    assert load(tmp_path, WHOLE) == {
        "postgresql": Hooks(("/usr/local/sbin/checkpoint", "--fast"), ("/usr/local/sbin/go-on",), 60.0),
        "files": Hooks(("sync",), (), 10.0),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hooks:\n  a:\n    release: [b]\n", "quiesce is missing"),
        ("hooks:\n  a:\n    quiesce: []\n", "the program first"),
        ('hooks:\n  a:\n    quiesce: [b]\n    release: [""]\n', "the program first"),
        ("hooks:\n  a:\n    quiesce: b\n", "must be a list"),
        ("hooks:\n  a:\n    quiesce: [b]\n    timeout: 0s\n", "more than 0"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        load(tmp_path, text)
    assert said in error.value.message
