"""Plays the demo from its first step to its last, and always comes to that last one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dtesx.base.errors import DtesxError, Interrupted
from dtesx.cli.demo import lab
from dtesx.cli.demo.report import CheckFailed, DemoReport, ReplicaReport
from dtesx.cli.demo.runner import DemoStep, Runner
from dtesx.cli.demo.scenario import Demo
from dtesx.model.job import Problem

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def play(
    runner: Runner, demo: Demo, *, keep: bool, take_down: Callable[[lab.Places], str] = lab.take_down
) -> tuple[DemoReport, DtesxError | None]:
    """Run all steps and take the lab down, whatever happens; the report, and what went wrong.

    A failed check does not end the run: what comes after it may tell more. ``keep`` leaves the lab up.
    """
    began = time.monotonic()
    road = demo.steps()
    end = DemoStep("down", "Take everything down", lambda: take_down(demo.places))
    runner.plan(road if keep else (*road, end))
    problem: DtesxError | None = None
    try:
        with _stoppable():
            problem = _walk(runner, road)
    except KeyboardInterrupt:
        problem = Interrupted("the demo was stopped before its end")
    except DtesxError as error:
        problem = error
    finally:
        # Without a scenario the lab never came up, or it is somebody else's.
        if demo.scenario is not None and not keep:
            with _unstoppable():
                runner.run(end)
        runner.close()
    return _report(runner, demo, problem, time.monotonic() - began), problem


def _walk(runner: Runner, road: tuple[DemoStep, ...]) -> CheckFailed | None:
    """Run the steps; the first check that failed, if all else went well."""
    failed: CheckFailed | None = None
    for step in road:
        try:
            runner.run(step)
        except CheckFailed as error:
            failed = failed or error
    return failed


def _report(runner: Runner, demo: Demo, problem: DtesxError | None, spent: float) -> DemoReport:
    scenario = demo.scenario
    return DemoReport(
        ok=problem is None,
        steps=runner.report(),
        replica=scenario.replica if scenario else ReplicaReport(),
        rto_seconds=scenario.rto_seconds if scenario else 0.0,
        seconds=round(spent, 2),
        error=Problem(problem.code, problem.message, problem.hint) if problem else None,
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and a closed terminal stop the run as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise KeyboardInterrupt

    with _handling(stop):
        yield


@contextmanager
def _unstoppable() -> Iterator[None]:
    """A second Ctrl-C must not cut the clearing short."""
    with _handling(signal.SIG_IGN):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    before = [(number, signal.signal(number, handler)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
