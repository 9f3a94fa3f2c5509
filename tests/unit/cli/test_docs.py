"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from dtesx.cli import exits, jobfile
from dtesx.model.job import JobState, OperationKind, StepState

_DOCS = Path(__file__).parents[3] / "docs"


def test_the_exit_codes_are_those_of_the_code() -> None:
    text = (_DOCS / "cli.md").read_text()
    for code, meaning in exits.MEANING.items():
        assert f"| {int(code)} | {meaning} |" in text


def test_every_state_is_explained() -> None:
    text = (_DOCS / "states.md").read_text()
    for state in (*JobState, *StepState):
        assert f"| `{state}` |" in text
    for kind in OperationKind:
        assert f"| {kind} |" in text


def test_the_example_jobs_are_good() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (_DOCS / "job.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert jobfile.parse(block, "job.md").name == "alpha"
