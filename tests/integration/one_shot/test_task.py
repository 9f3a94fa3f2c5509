"""Tasks that a source inserts and a target runs, by commands, while processes come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.retry import wait_until

from .conftest import DTESX, Site
from .test_pausing import order
from .test_replicate import replicate

pytestmark = pytest.mark.integration

TASKS = """\
tasks:
  copy:
    command: [sh, -c, 'cp -a "$DTESX_REPLICA" "$0.$DTESX_EPOCH" && echo "copied $DTESX_EPOCH_KIND"', {copies}]
  slow:
    command: [sh, -c, 'echo begun >> "$0"; exec sleep 30', {began}]
  steady:
    command: [sh, -c, 'echo begun >> "$0"; sleep 4; echo ended >> "$0"', {began}]
  counted:
    command: [sh, -c, 'echo ran >> "$0"; exit 3', {began}]
    timeout: 30s
"""


@pytest.fixture
def tasks(idle: Site) -> Site:
    """The site, with a target that has tasks and listens."""
    file = idle.root / "tasks.yaml"
    file.write_text(TASKS.format(copies=idle.root / "copy", began=idle.root / "began"))
    idle.start("--tasks", str(file))
    return idle


def insert(site: Site, *arguments: str) -> tuple[int, Any]:
    done = site.dtesx("task", "insert", *arguments, "--json")
    return done.returncode, json.loads(done.stdout)


def begin(site: Site, *arguments: str) -> subprocess.Popen[bytes]:
    """Insert a task and do not wait for its end."""
    argv = [*DTESX, "task", "insert", *arguments, "--state", str(site.root / "client"), "--json"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=dict(os.environ))


def answer(process: subprocess.Popen[bytes]) -> tuple[int, Any]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, json.loads(out)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_task_sees_what_was_written_before_and_nothing_later(tasks: Site) -> None:
    with replicate(tasks, "--epoch", "0.2"):
        for number in range(3):
            (tasks.source / "file").write_bytes(b"%d" % number)
            code, report = insert(tasks, "copy")
            (tasks.source / "file").write_bytes(b"later")
            assert (code, report["result"]["outcome"], report["failed"]) == (0, "ended", 0)
            kind, epoch = report["result"]["epoch"]["kind"], report["result"]["epoch"]["number"]
            assert report["result"]["output"] == f"copied {kind}\n"
            assert (tasks.root / f"copy.{epoch}" / "file").read_bytes() == b"%d" % number


def test_what_tasks_come_to(tasks: Site) -> None:
    with replicate(tasks):
        code, report = insert(tasks, "counted")
        assert (code, report["result"]["outcome"], report["result"]["status"]) == (1, "ended", 3)
        code, failure = insert(tasks, "rm")
        assert (code, failure["error"]["code"]) == (5, "not-found")
        assert lines(tasks.root / "began") == ["ran"]
        assert tasks.dtesx("task", "insert", "copy").stdout.count("copy: exit status 0") == 1


def test_a_task_waits_in_the_queue_of_a_paused_target_and_runs_once(tasks: Site) -> None:
    began = tasks.root / "began"
    with replicate(tasks, "--epoch", "0.2"):
        assert order(tasks, "pause", "www").returncode == 0
        (tasks.source / "new").write_bytes(b"new")
        code, failure = insert(tasks, "counted", "--wait", "2")
        assert (code, failure["error"]["code"]) == (9, "not-reached")
        assert "do not insert it again" in failure["error"]["hint"]
        waits = begin(tasks, "counted")

        def queued() -> list[str]:
            shown = json.loads(order(tasks, "queue", "show", "www", "--json").stdout)["waiting"]
            return [task["name"] for kept in shown for task in kept["tasks"]]

        assert wait_until(lambda: queued() == ["counted"] * 2, timeout=20)
        assert tasks.end(signal.SIGKILL) == -signal.SIGKILL
        assert not began.exists()
        tasks.start("--tasks", str(tasks.root / "tasks.yaml"))
        # The source does not know whether the second arrived, and sends it again.
        assert wait_until(lambda: queued() == ["counted"] * 3, timeout=30)
        assert order(tasks, "resume", "www").returncode == 0
        assert answer(waits)[1]["result"]["status"] == 3
        assert tasks.dtesx("point").returncode == 0
        assert lines(began) == ["ran", "ran"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_task_whose_target_ends_is_not_run_again(tasks: Site, number: signal.Signals) -> None:
    began = tasks.root / "began"
    with replicate(tasks, "--epoch", "0.2"):
        waits = begin(tasks, "slow")
        assert wait_until(lambda: lines(began) == ["begun"], timeout=20)
        (tasks.source / "later").write_bytes(b"later")
        tasks.end(number)
        tasks.start("--tasks", str(tasks.root / "tasks.yaml"))
        code, report = answer(waits)
        assert (code, report["result"]["outcome"]) == (1, "interrupted")
        assert tasks.dtesx("point").returncode == 0
        assert tasks.differences() == ""
        assert lines(began) == ["begun"]


def test_a_task_whose_source_is_killed_runs_to_its_end(tasks: Site) -> None:
    began = tasks.root / "began"
    with replicate(tasks, "--epoch", "0.2") as process:
        waits = begin(tasks, "steady")
        assert wait_until(lambda: lines(began) == ["begun"], timeout=20)
        process.kill()
        process.wait(10)
        assert answer(waits)[1]["error"]["code"] == "not-running"
    with replicate(tasks):
        assert lines(began) == ["begun", "ended"]
