"""The demo comes to its end, whatever happens on the way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx.base.errors import ConnectionFailed, DtesxError, ExitCode
from dtesx.cli.demo.lab import Places
from dtesx.cli.demo.play import play
from dtesx.cli.demo.report import CheckFailed, ReplicaReport
from dtesx.cli.demo.runner import DemoStep, Runner
from dtesx.cli.demo.scenario import Demo
from dtesx.cli.steps import Silent

PLACES = Places(Path("/lab"), Path("/cache"))


class _Scenario:
    replica = ReplicaReport(booted=True)
    rto_seconds = 42.0


class _Demo:
    """Has the given steps; its lab is up after the first one."""

    def __init__(self, *actions: Callable[[], str]) -> None:
        self.places = PLACES
        self.scenario: Any = None
        self._actions = actions

    def steps(self) -> tuple[DemoStep, ...]:
        def up() -> str:
            self.scenario = _Scenario()
            return "up"

        later = [DemoStep(f"step{i}", f"Step {i}", action) for i, action in enumerate(self._actions)]
        return (DemoStep("lab", "Lab", up), *later)


class _Down:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, places: Places) -> str:
        self.calls.append(signal.getsignal(signal.SIGINT))
        return "gone"


def _raise(error: BaseException) -> Callable[[], str]:
    def act() -> str:
        raise error

    return act


@pytest.fixture
def down() -> _Down:
    return _Down()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    yield
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def _play(demo: _Demo, down: _Down, *, keep: bool = False) -> Any:
    return play(Runner("demo", Silent()), cast(Demo, demo), keep=keep, take_down=down)


def test_all_is_well(down: _Down) -> None:
    report, problem = _play(_Demo(lambda: "a"), down)
    assert problem is None
    assert report.ok
    assert report.rto_seconds == 42.0
    assert [(s.name, s.ok) for s in report.steps] == [("lab", True), ("step0", True), ("down", True)]
    assert down.calls == [signal.SIG_IGN]


def test_keep_leaves_the_lab_up(down: _Down) -> None:
    report, _ = _play(_Demo(), down, keep=True)
    assert down.calls == []
    assert [s.name for s in report.steps] == ["lab"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConnectionFailed("away"), ExitCode.CONNECTION), (KeyboardInterrupt(), ExitCode.INTERRUPTED)],
)
def test_a_failure_ends_the_road_and_takes_the_lab_down(
    down: _Down, error: BaseException, code: ExitCode
) -> None:
    report, problem = _play(_Demo(_raise(error), lambda: "never"), down)
    assert isinstance(problem, DtesxError)
    assert problem.exit_code == code
    assert not report.ok
    assert report.error is not None
    assert [(s.name, s.ok) for s in report.steps] == [("lab", True), ("step0", False), ("down", True)]
    assert len(down.calls) == 1


def test_a_failed_check_does_not_keep_the_others_from_running(down: _Down) -> None:
    first, second = CheckFailed("first"), CheckFailed("second")
    report, problem = _play(_Demo(_raise(first), _raise(second), lambda: "ran"), down)
    assert problem is first
    assert problem.exit_code == ExitCode.PROBLEMS
    assert [s.ok for s in report.steps] == [True, False, False, True, True]
    assert not report.ok


def test_a_bug_takes_the_lab_down_too(down: _Down) -> None:
    with pytest.raises(ZeroDivisionError):
        _play(_Demo(_raise(ZeroDivisionError())), down)
    assert len(down.calls) == 1


def test_a_lab_that_is_not_ours_is_left_alone(down: _Down) -> None:
    class Busy(_Demo):
        def steps(self) -> tuple[DemoStep, ...]:
            return (DemoStep("lab", "Lab", _raise(DtesxError("a lab is up already"))),)

    report, problem = _play(Busy(), down)
    assert problem is not None
    assert down.calls == []
    assert report.replica == ReplicaReport()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_stop_the_demo_in_order(down: _Down, number: signal.Signals) -> None:
    def be_told() -> str:
        signal.raise_signal(number)
        return "never"

    _, problem = _play(_Demo(be_told), down)
    assert problem is not None
    assert problem.exit_code == ExitCode.INTERRUPTED
    assert len(down.calls) == 1
