"""A replication whose epochs of one moment are looked at, each as it is applied."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from dtesx.base.run import spawn
from dtesx.model.changes import Changes
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import ReplicationOptions, ReplicationStatus
from dtesx.model.request import MirrorRequest
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.quiescing import Applications
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.epochs import Epochs
from tests.integration.replication.conftest import QUICK, Site

WAIT = 40.0
SECONDS = float(os.environ.get("DTESX_EDGE_SECONDS", "1"))
"""For how long each writer writes; by hand longer."""

CONSISTENT = frozenset((EpochKind.CRASH, EpochKind.APPLICATION))
FUZZY = frozenset((EpochKind.FUZZY,))

LONG = "DTESX_EDGE_SECONDS" in os.environ
_AT_LEAST = 3


@dataclass
class Watched:
    """What became of a replication: its states, and its epochs when they had been applied."""

    states: list[ReplicationStatus] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)
    replication: Replication | None = None

    def consistent(self) -> list[Epoch]:
        return [epoch for epoch in self.epochs if epoch.kind in CONSISTENT]

    def for_a_while(self, done: Callable[[], int] | None = None) -> None:
        """Let it go on for SECONDS, and until ``done`` counts enough: epochs of one moment, if not told."""
        end = time.monotonic() + SECONDS
        count = done or (lambda: len(self.consistent()))
        self.until(lambda: count() >= _AT_LEAST and time.monotonic() > end)

    def caught_up(self) -> None:
        """Wait until the target has what there is now, as an epoch of one moment."""
        now = time.time()
        self.until(lambda: any(epoch.taken > now for epoch in self.consistent()))

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS + WAIT
        while not done():
            assert time.monotonic() < deadline, self.states[-1:]
            assert not self.problems, self.problems
            time.sleep(0.02)


class OnlyAtEdges:
    """Tells what changed only where nothing can be written, so that edges have to carry it all."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._waiting = Changes()

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        for some in self._follower.drain(still=still).values():
            self._waiting.add(some)
        if not still and not self._waiting.everything:
            return {"/data": Changes(names={b"": {}})}  # as if nothing but the root were others
        told, self._waiting = self._waiting, Changes()
        return {"/data": told}


@contextmanager
def replicating(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[Path], object],
    *,
    every: float = 0.3,
    budget: float = 2.0,
    only: bool = False,
    applications: Applications | None = None,
    kinds: frozenset[EpochKind] = CONSISTENT,
    more: Mapping[str, Path] = MappingProxyType({}),
) -> Iterator[Watched]:
    """Replicate; ``check`` gets the replica at every epoch of ``kinds``, before the next one is applied.

    ``only``: all changes are told at edges alone. ``more`` are sources of further roots.
    """
    watched, stop = Watched(), threading.Event()
    carry_out = Epochs._carry_out

    def carried_out(self: Epochs, epoch: Epoch, **options: bool) -> None:
        carry_out(self, epoch, **options)
        try:
            if epoch.kind in kinds:
                check(site.target)
        except BaseException as problem:  # told in the test's own thread
            watched.problems.append(problem)
        watched.epochs.append(epoch)

    monkeypatch.setattr(Epochs, "_carry_out", carried_out)
    roots = {"/data": site.source, **more}

    @contextmanager
    def opener(root: str) -> Iterator[int]:
        fd = os.open(roots[root], os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, tuple(roots))
    with Follower(roots, opener) as follower:
        assignment = Assignment(
            request,
            site.us,
            mirror=MirrorOptions(),
            options=ReplicationOptions(0.2, every, budget),
            link=LinkOptions(),
            opener=opener,
            backoff=QUICK,
            applications=applications,
        )
        capture = OnlyAtEdges(follower) if only else follower
        replication = Replication(assignment, capture, status=watched.states.append, stop=stop)
        watched.replication = replication
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            yield watched
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()


def report(watched: Watched, checked: int) -> None:
    """What there was; shown with -s."""
    state = watched.states[-1]
    print(f"{checked} of {len(watched.epochs)} checked, {state.freezes}, {state.fuzzy or 'consistent'}")


@contextmanager
def writing(script: str, place: Path, *ready: str, more: tuple[Path, ...] = ()) -> Iterator[None]:
    """A process that writes all the time; it has begun when ``place`` has the files ``ready``."""
    process = spawn([sys.executable, "-c", script, str(place), *map(str, more)])
    try:
        while not all((place / name).exists() for name in ready):
            assert process.poll() is None
            time.sleep(0.01)
        yield
        assert process.poll() is None, "the writer ended"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
