"""A target's tasks: programs that are run, end, fail, take too long, and are never run twice."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.base.retry import wait_until
from dtesx.model.epoch import Epoch, EpochKind, InsertedTask
from dtesx.model.tasks import Task, TaskOutcome, TaskResult
from dtesx.replication.tasks import Tasks

pytestmark = pytest.mark.integration

EPOCH = Epoch(7, EpochKind.CRASH, 1000.5)


def asked(name: str, number: int = 1) -> InsertedTask:
    return InsertedTask(f"{number:032x}", name)


def sh(script: str, **options: object) -> Task:
    return Task(("sh", "-c", script), **options)  # type: ignore[arg-type]


def moment() -> None:
    time.sleep(0.01)


class Ledger:
    """Tasks whose runs are counted by the file that they write."""

    def __init__(self, directory: Path) -> None:
        self.runs = directory / "runs"
        self._epochs = directory / "epochs"

    def tasks(self, known: Mapping[str, Task]) -> Tasks:
        return Tasks(self._epochs, known, "/srv/replicas/www")

    def counting(self, script: str, **options: object) -> Task:
        return sh(f'echo >> "{self.runs}"; {script}', **options)

    @property
    def count(self) -> int:
        return len(self.runs.read_bytes()) if self.runs.exists() else 0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_a_task_knows_what_it_runs_for_and_tells_how_it_ended(ledger: Ledger) -> None:
    names = "TASK", "REPLICA", "EPOCH", "EPOCH_KIND", "EPOCH_TAKEN"
    script = f'echo "{" ".join(f"$DTESX_{name}" for name in names)}"; umask; pwd; exit 5'
    result = ledger.tasks({"told": sh(script)}).run(asked("told"), EPOCH, moment)
    assert (result.outcome, result.status, result.well) == (TaskOutcome.ENDED, 5, False)
    said = "told /srv/replicas/www 7 crash-consistent 1000.500000\n0022\n/\n"
    assert (result.output, result.epoch, result.id) == (said, EPOCH, asked("told").id)


def test_the_same_request_is_answered_with_the_result_of_then(ledger: Ledger) -> None:
    known = {"once": ledger.counting("echo ran")}
    first = ledger.tasks(known).run(asked("once"), EPOCH, moment)
    again = ledger.tasks({}).run(asked("once"), Epoch(9, EpochKind.FUZZY, 2000.0), moment)
    assert (first.well, again, ledger.count) == (True, first, 1)
    assert ledger.tasks(known).run(asked("once", 2), EPOCH, moment).well
    assert ledger.count == 2


def test_a_task_that_is_unknown_may_be_known_later(ledger: Ledger) -> None:
    assert ledger.tasks({}).run(asked("late"), EPOCH, moment).outcome is TaskOutcome.UNKNOWN
    assert ledger.tasks({"late": sh("")}).run(asked("late"), EPOCH, moment).well


def test_a_task_without_an_end_is_ended_with_what_it_started(ledger: Ledger, tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"sh -c 'trap \"\" TERM; echo $$ > {child}; while :; do sleep 0.1; done' & wait"
    result = ledger.tasks({"long": sh(script, timeout=1.0)}).run(asked("long"), EPOCH, moment)
    assert (result.outcome, result.status, result.well) == (TaskOutcome.TIMEOUT, -15, False)
    assert wait_until(lambda: not Path(f"/proc/{int(child.read_text())}/cmdline").exists(), timeout=10)


def test_what_a_task_leaves_running_is_not_waited_for(ledger: Ledger) -> None:
    result = ledger.tasks({"left": sh("sleep 20 & echo $!")}).run(asked("left"), EPOCH, moment)
    assert result.well
    os.kill(int(result.output), 9)


def test_only_the_end_of_what_it_wrote_is_kept(ledger: Ledger) -> None:
    result = ledger.tasks({"much": sh("seq 100000; echo the end >&2")}).run(asked("much"), EPOCH, moment)
    assert result.output.endswith("99999\n100000\nthe end\n")
    assert len(result.output) <= 4096


@pytest.mark.parametrize("task", [Task(("/does/not/exist",)), sh("", user="nobody of this name")])
def test_a_task_that_cannot_be_started_says_why(ledger: Ledger, task: Task) -> None:
    result = ledger.tasks({"bad": task}).run(asked("bad"), EPOCH, moment)
    assert (result.outcome, bool(result.output)) == (TaskOutcome.FAILED, True)


def test_a_task_of_another_user(ledger: Ledger) -> None:
    account = pwd.getpwnam("daemon")
    result = ledger.tasks({"who": sh("id -u; id -G; echo $HOME", user="daemon")}).run(
        asked("who"), EPOCH, moment
    )
    groups = " ".join(map(str, sorted(os.getgrouplist("daemon", account.pw_gid))))
    assert result.output.splitlines() == [str(account.pw_uid), groups, account.pw_dir]


def test_a_target_that_ends_ends_the_task_and_never_runs_it_again(ledger: Ledger) -> None:
    known = {"long": ledger.counting("exec sleep 30")}

    def end() -> None:
        moment()
        if ledger.count:
            raise Interrupted("the target is shutting down")

    with pytest.raises(Interrupted):
        ledger.tasks(known).run(asked("long"), EPOCH, end)
    again = ledger.tasks(known).run(asked("long"), EPOCH, moment)
    assert (again.outcome, ledger.count) == (TaskOutcome.INTERRUPTED, 1)


def test_a_target_that_is_about_to_end_does_not_begin(ledger: Ledger) -> None:
    known = {"later": ledger.counting("")}

    def ends() -> None:
        raise Interrupted("the target is shutting down")

    with pytest.raises(Interrupted):
        ledger.tasks(known).run(asked("later"), EPOCH, ends)
    assert ledger.count == 0
    assert ledger.tasks(known).run(asked("later"), EPOCH, moment).well


def test_a_source_that_leaves_does_not_end_it(ledger: Ledger) -> None:
    def gone() -> None:
        raise ConnectionFailed("the source did not come back")

    result: TaskResult = ledger.tasks({"on": sh("sleep 0.3; echo done")}).run(asked("on"), EPOCH, gone)
    assert (result.well, result.output) == (True, "done\n")
