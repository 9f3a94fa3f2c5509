"""Pausing: a mirror that waits where it is, and a target that applies nothing for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import Conflict, DtesxError, Interrupted
from dtesx.base.retry import wait_until
from dtesx.model.mirror import LinkOptions
from dtesx.model.queue import MIB, QueueLimits
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase
from dtesx.model.transmission import Transmission
from dtesx.replication import backlog
from dtesx.replication.control import MirrorControl
from dtesx.replication.pausing import Gate
from dtesx.replication.sending import DEFAULT_LINK
from dtesx.wire.channel import Channel
from dtesx.wire.messages import Welcome
from dtesx.wire.protocol import answer, greeting
from dtesx.wire.stream import WINDOW

from .cutting import Cut
from .dialling import connected

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


class Running:
    """A mirror in a thread of its own."""

    def __init__(self, site: Site, control: MirrorControl, link: LinkOptions) -> None:
        self.control = control
        self.stats: MirrorStats | None = None
        self.error: DtesxError | None = None
        self._site = site
        self._thread = threading.Thread(target=self._run, args=(link,))
        self._thread.start()

    def _run(self, link: LinkOptions) -> None:
        try:
            self.stats = self._site.mirror(control=self.control, link=link)
        except DtesxError as error:
            self.error = error

    def until(self, phase: MirrorPhase, *, since: int | None = None) -> None:
        """Wait until the progress shows ``phase`` from now on, or since there were so many reports."""
        before = len(self._site.progress) if since is None else since
        assert wait_until(lambda: phase in self._phases(before), timeout=20), phase

    def _phases(self, before: int) -> set[MirrorPhase]:
        assert self.error is None
        return {phase for phase, _ in self._site.progress[before:]}

    def end(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@contextmanager
def running(
    site: Site, control: MirrorControl | None = None, link: LinkOptions = DEFAULT_LINK
) -> Iterator[Running]:
    mirror = Running(site, control or MirrorControl(), link)
    try:
        yield mirror
    except BaseException:
        mirror.control.stop()
        raise
    finally:
        mirror.end()


def still(look: Callable[[], object], seconds: float = 0.6) -> bool:
    """Whether what ``look`` sees stays as it is for a while."""
    first = look()
    return not wait_until(lambda: look() != first, timeout=seconds)


def last_report(site: Site) -> WorkerPhase:
    return site.reports[-1][0]


def contents(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_size) for path in root.rglob("*"))


def wire(site: Site) -> int:
    return site.progress[-1][1].bytes_wire


@pytest.fixture
def much(bare_site: Site) -> None:
    """More than a window, in large files and small ones."""
    for number in range(4):
        (bare_site.source / f"large{number}").write_bytes(os.urandom(12 * MIB))
    for number in range(500):
        directory = bare_site.source / f"d{number % 20}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_bytes(os.urandom(4096))


SLOW = LinkOptions(bandwidth=20 * MIB)


def test_a_mirror_that_begins_paused_sends_nothing_until_it_is_resumed(site: Site, rich: Path) -> None:
    with running(site, MirrorControl(paused=True)) as mirror:
        mirror.until(MirrorPhase.PAUSED)
        assert still(lambda: (contents(site.target), site.reports[-1][0]))
        mirror.control.resume()
    assert mirror.error is None
    assert site.differences() == ""


def test_a_paused_mirror_waits_where_it_is_and_goes_on(site: Site, much: None) -> None:
    with running(site, link=SLOW) as mirror:
        mirror.until(MirrorPhase.RUNNING)
        for _ in range(3):
            mirror.control.pause()
            mirror.until(MirrorPhase.PAUSED)
            # What was queued still travels; then there is nothing more.
            assert wait_until(lambda: still(lambda: site.progress[-1][1].bytes_wire), timeout=10)
            sent = site.progress[-1][1].bytes_sent
            assert still(lambda: site.progress[-1][1].bytes_sent)
            mirror.control.resume()
            mirror.until(MirrorPhase.RUNNING)
        assert sent < 48 * MIB
    assert mirror.stats is not None
    assert site.differences() == ""
    # It went on: nothing was sent twice.
    assert (mirror.stats.files_sent, mirror.stats.files_skipped) == (504, 0)


def test_a_paused_mirror_can_be_stopped(site: Site, much: None) -> None:
    with running(site, link=SLOW) as mirror:
        mirror.until(MirrorPhase.RUNNING)
        mirror.control.pause()
        mirror.until(MirrorPhase.PAUSED)
        mirror.control.stop()
    assert isinstance(mirror.error, Interrupted)
    site.mirror()
    assert site.differences() == ""


def test_a_paused_mirror_outlives_a_target_that_is_away_for_long(bare_site: Site, much: None) -> None:
    site = bare_site
    with ExitStack() as receiver:
        receiver.enter_context(site.receiver())
        with running(site, link=SLOW) as mirror:
            mirror.until(MirrorPhase.RUNNING)
            mirror.control.pause()
            mirror.until(MirrorPhase.PAUSED)
            receiver.close()
            assert still(lambda: mirror.error, 2.0)  # tries of a mirror at work are used up in 0.6 s
            receiver.enter_context(site.receiver(port=site.port))
            mirror.control.resume()
        assert mirror.error is None
    assert site.differences() == ""


def test_a_paused_target_applies_nothing_and_the_source_says_so(bare_site: Site, much: None) -> None:
    site, gate = bare_site, Gate()
    gate.turn(shut=True)
    with site.receiver(gate=gate), running(site, link=SLOW) as mirror:
        for _ in range(2):
            gate.turn(shut=True)
            assert gate.wait(20)
            mirror.until(MirrorPhase.TARGET_PAUSED)
            assert still(lambda: contents(site.target))
            assert last_report(site) is WorkerPhase.PAUSED
            gate.turn(shut=False)
            mirror.until(MirrorPhase.RUNNING)
            assert last_report(site) is WorkerPhase.RECEIVING
    assert mirror.stats is not None
    assert site.differences() == ""
    assert (mirror.stats.files_sent, mirror.stats.files_skipped) == (504, 0)


def test_while_its_target_is_paused_a_mirror_queues(bare_site: Site, much: None, tmp_path: Path) -> None:
    site, gate = bare_site, Gate()
    gate.turn(shut=True)
    folder = tmp_path / "queue"
    folder.mkdir()
    ahead = LinkOptions(ahead=QueueLimits(memory=32 * MIB, folder=str(folder)))
    # A name that the target has is asked about, which would have to wait: this tree is all new.
    with site.receiver(gate=gate), running(site, link=ahead) as mirror:
        mirror.until(MirrorPhase.TARGET_PAUSED)
        assert still(lambda: contents(site.target))
        gate.turn(shut=False)
    assert mirror.error is None
    assert site.differences() == ""


@pytest.mark.parametrize("plan", [None, Transmission()], ids=["at once", "by plan"])
def test_a_target_without_memory_for_more_has_its_source_wait(
    bare_site: Site, much: None, monkeypatch: pytest.MonkeyPatch, plan: Transmission | None
) -> None:
    site, gate, high = bare_site, Gate(), 4 * MIB
    monkeypatch.setattr(backlog, "memory", lambda: 5 * high)
    link, control = LinkOptions(plan=plan), MirrorControl(bandwidth=20 * MIB)
    with site.receiver(gate=gate), running(site, control, link) as mirror:
        assert wait_until(lambda: bool(site.progress) and wire(site) > MIB, timeout=20)
        gate.turn(shut=True)
        mirror.until(MirrorPhase.TARGET_PAUSED)
        assert wait_until(lambda: still(lambda: wire(site)), timeout=20)
        assert wire(site) < WINDOW  # without the mark, a whole window waits to be applied
        gate.turn(shut=False)
    assert mirror.error is None
    assert site.differences() == ""


def test_a_mirror_to_a_paused_target_can_be_stopped(bare_site: Site, much: None) -> None:
    site, gate = bare_site, Gate()
    gate.turn(shut=True)
    with site.receiver(gate=gate), running(site) as mirror:
        mirror.until(MirrorPhase.TARGET_PAUSED)
        mirror.control.stop()
    assert isinstance(mirror.error, Interrupted)
    assert contents(site.target) == []


def test_a_paused_target_lets_a_source_come_back(
    bare_site: Site, much: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, gate = bare_site, Gate()
    with site.receiver(gate=gate), Cut(site.port) as cut:
        monkeypatch.setattr(site, "port", cut.port)
        with running(site, link=SLOW) as mirror:
            mirror.until(MirrorPhase.RUNNING)
            gate.turn(shut=True)
            mirror.until(MirrorPhase.TARGET_PAUSED)
            before = len(site.progress)
            cut.all()
            mirror.until(MirrorPhase.CONNECTING, since=before)
            mirror.until(MirrorPhase.TARGET_PAUSED)
            gate.turn(shut=False)
    assert mirror.stats is not None
    assert site.differences() == ""
    assert (mirror.stats.files_sent, mirror.stats.files_skipped) == (504, 0)


def test_a_caller_that_died_in_its_greeting_does_not_take_over(site: Site, much: None) -> None:
    early = Channel(connected(site))  # and before it says anything, its successor is at work
    with running(site, link=SLOW) as mirror:
        mirror.until(MirrorPhase.RUNNING)
        early.send(greeting("job", ("/data",), os.urandom(16)))
        with pytest.raises(Conflict, match="took over"):
            answer(early.receive(), Welcome)
        early.close()
    assert mirror.error is None
    assert site.differences() == ""
