"""The whole road: a server is protected, changed, lost and recovered, and is the same afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.cli.demo import lab
from dtesx.cli.demo.play import play
from dtesx.cli.demo.runner import Runner
from dtesx.cli.demo.scenario import Demo
from dtesx.cli.lab import places
from dtesx.cli.steps import Silent

pytestmark = pytest.mark.vm


def test_a_lost_server_comes_back_as_its_replica(tmp_path: Path) -> None:
    runner = Runner("demo", Silent())
    demo = Demo(lab.Places(tmp_path / "site", places.cache()), runner.say, lab.bring_up)
    report, problem = play(runner, demo, keep=False)
    assert problem is None, f"{problem.message} ({problem.hint})"
    assert report.ok
    assert all(step.ok for step in report.steps)
    replica = report.replica
    assert (replica.booted, replica.hostname) == (True, "alpha")
    assert replica.files_compared > 1000
    assert replica.entries_compared > replica.files_compared
    assert (replica.files_different, replica.entries_different) == (0, 0)
    assert 0 < report.rto_seconds < report.seconds
    assert not lab.running(tmp_path / "site")
