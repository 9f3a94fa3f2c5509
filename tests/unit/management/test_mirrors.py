from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from dtesx.base.errors import Interrupted, NotFound, TargetFull
from dtesx.management import mirrors as module
from dtesx.management.mirrors import Mirrors, Progress
from dtesx.model.api import MirrorStatus
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import Identity

REQUEST = MirrorRequest("job-1", "127.0.0.1", 1500, "PEM", ("/",))


@dataclass
class Engine:
    """A mirror that goes on until it is told how to end."""

    end: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    runs: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def __call__(
        self, request: MirrorRequest, identity: Identity, *, progress: Progress, control: MirrorControl
    ) -> MirrorStats:
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            progress(MirrorPhase.RUNNING, MirrorStats(files_total=9, files_sent=4))
            while not self.end.wait(0.01):
                if control.stopped:
                    raise Interrupted("stopped")
                phase = MirrorPhase.PAUSED if control.paused else MirrorPhase.RUNNING
                progress(phase, MirrorStats(files_total=9, files_sent=4))
            if self.error is not None:
                raise self.error
            return MirrorStats(files_total=9, files_sent=9)
        finally:
            self.at_once -= 1


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def mirrors(engine: Engine) -> Iterator[Mirrors]:
    made = Mirrors(Identity("PEM", "KEY"), engine)
    yield made
    made.close()


def wait(mirrors: Mirrors, good: Callable[[MirrorStatus], bool]) -> MirrorStatus:
    deadline = time.monotonic() + 5
    while not good(mirrors.status("job-1")):
        assert time.monotonic() < deadline, mirrors.status("job-1")
        time.sleep(0.0005)
    return mirrors.status("job-1")


def test_a_mirror_reports_and_ends(mirrors: Mirrors, engine: Engine) -> None:
    assert mirrors.start(REQUEST).started > 0
    assert wait(mirrors, lambda s: s.phase is MirrorPhase.RUNNING).stats.files_sent == 4
    engine.end.set()
    assert wait(mirrors, lambda s: s.phase is MirrorPhase.DONE).stats.files_sent == 9


def test_the_same_request_finds_the_running_mirror(mirrors: Mirrors, engine: Engine) -> None:
    first = mirrors.start(REQUEST)
    assert mirrors.start(REQUEST).started == first.started
    assert engine.runs == 1


def test_another_request_takes_its_place(mirrors: Mirrors, engine: Engine) -> None:
    mirrors.start(REQUEST)
    mirrors.start(replace(REQUEST, port=1501))
    wait(mirrors, lambda s: s.phase is MirrorPhase.RUNNING)
    assert (engine.runs, engine.most_at_once) == (2, 1)


def test_a_finished_mirror_never_passes_for_a_new_one(
    mirrors: Mirrors, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The thread still has something to say when its result is there already.
    monkeypatch.setattr(module.log, "info", lambda *_, **__: time.sleep(0.1))
    engine.end.set()
    for number in (1, 2, 3):
        mirrors.start(REQUEST)
        wait(mirrors, lambda s: s.phase is MirrorPhase.DONE)
        assert engine.runs == number


@pytest.mark.parametrize(
    ("error", "code"),
    [(TargetFull("no space", hint="make room"), "target-full"), (KeyError("a defect"), "defect")],
)
def test_a_failure_is_kept_with_its_hint(
    mirrors: Mirrors, engine: Engine, error: Exception, code: str
) -> None:
    engine.error = error
    engine.end.set()
    mirrors.start(REQUEST)
    problem = wait(mirrors, lambda s: s.phase is MirrorPhase.FAILED).problem
    assert problem is not None
    assert problem.code == code
    assert problem.hint


def test_stop_waits_until_it_has_ended(mirrors: Mirrors, engine: Engine) -> None:
    mirrors.start(REQUEST)
    mirrors.stop("job-1")
    assert engine.at_once == 0
    assert mirrors.status("job-1").phase is MirrorPhase.STOPPED
    mirrors.stop("job-1")
    mirrors.stop("never heard of")


def test_pause_and_resume(mirrors: Mirrors, engine: Engine) -> None:
    mirrors.start(REQUEST)
    mirrors.pause("job-1")
    wait(mirrors, lambda s: s.phase is MirrorPhase.PAUSED)
    mirrors.resume("job-1")
    wait(mirrors, lambda s: s.phase is MirrorPhase.RUNNING)
    mirrors.pause("job-1")
    engine.end.set()
    wait(mirrors, lambda s: s.phase is MirrorPhase.DONE)
    with pytest.raises(NotFound, match="under way"):
        mirrors.pause("job-1")
    with pytest.raises(NotFound, match="under way"):
        mirrors.resume("never heard of")


def test_a_mirror_that_was_paused_when_its_source_ended_begins_paused(
    mirrors: Mirrors, engine: Engine
) -> None:
    mirrors.start(replace(REQUEST, paused=True))
    first = wait(mirrors, lambda s: s.phase is MirrorPhase.PAUSED)
    assert mirrors.start(REQUEST).started == first.started  # the appliance repeats its request
    assert mirrors.status("job-1").phase is MirrorPhase.PAUSED
    mirrors.resume("job-1")
    wait(mirrors, lambda s: s.phase is MirrorPhase.RUNNING)
    assert engine.runs == 1


def test_a_limit_is_set_while_a_mirror_is_under_way(mirrors: Mirrors, engine: Engine) -> None:
    first = mirrors.start(replace(REQUEST, bandwidth=9_000))
    assert first.bandwidth == 9_000
    mirrors.limit("job-1", 0)
    assert mirrors.status("job-1").bandwidth == 0
    assert mirrors.start(replace(REQUEST, bandwidth=9_000)).started == first.started
    mirrors.limit("job-1", None)
    assert mirrors.status("job-1").bandwidth is None
    engine.end.set()
    wait(mirrors, lambda s: s.phase is MirrorPhase.DONE)
    with pytest.raises(NotFound, match="under way"):
        mirrors.limit("job-1", 9_000)


def test_no_mirror(mirrors: Mirrors) -> None:
    with pytest.raises(NotFound):
        mirrors.status("job-1")
