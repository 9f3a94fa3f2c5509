"""Recovery points of a continuous replication, over the loopback interface."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from dtesx.base.run import run
from dtesx.model.epoch import EpochKind
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import Point, ReplicationOptions, ReplicationStatus
from dtesx.model.request import MirrorRequest
from dtesx.model.target import TargetOptions
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.source_session import SourceSession
from dtesx.wire.errors import StreamUnknown
from tests.integration.capture.conftest import exchange

from .conftest import QUICK, Site

pytestmark = pytest.mark.integration

WAIT = 30.0
RARELY = 3600.0


@contextmanager
def replicating(site: Site, states: list[ReplicationStatus]) -> Iterator[Replication]:
    """A replication that makes an epoch when it is asked to, and else hardly ever."""
    stop = threading.Event()
    request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",))
    with Follower(["/data"], site.view) as follower:
        assignment = Assignment(
            request,
            site.us,
            mirror=MirrorOptions(),
            options=ReplicationOptions(epoch=RARELY),
            link=LinkOptions(),
            opener=site.view,
            backoff=QUICK,
        )
        replication = Replication(assignment, follower, status=states.append, stop=stop)
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            yield replication
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()


def reach(replication: Replication) -> Point:
    ticket = replication.request_point(consistent=False)
    assert ticket.reached.wait(WAIT)
    assert ticket.point is not None
    return ticket.point


def test_a_point_holds_what_was_written_before(site: Site) -> None:
    states: list[ReplicationStatus] = []
    with replicating(site, states) as replication:
        first = reach(replication)
        for number in range(5):
            (site.source / f"file{number}").write_bytes(b"%d" % number)
            point = reach(replication)
            assert site.differences("--exclude=/.dtesx-tmp.*") == ""
            assert point.number > first.number
            assert (point.kind, point.failed) == (EpochKind.FUZZY, 0)
        idle = reach(replication)
        assert (idle.number > point.number, idle.taken > point.taken) == (True, True)
        assert states[-1].epoch is not None
        assert states[-1].epoch.number == idle.number
        assert states[-1].last_file == "/data/file4"


def test_what_cannot_be_replicated_is_told(bare_site: Site) -> None:
    site = bare_site
    (site.source / "directory").mkdir()
    with site.receiver(options=TargetOptions(retry_delay=0.05)), replicating(site, []) as replication:
        assert reach(replication).failed == 0
        run(["mount", "-t", "tmpfs", "none", str(site.target / "directory")])
        try:
            (site.source / "directory").rmdir()
            assert reach(replication).failed == 1
        finally:
            run(["umount", str(site.target / "directory")])


def test_a_point_is_reached_although_the_target_went_away(bare_site: Site) -> None:
    site = bare_site
    with ExitStack() as stack:
        with site.receiver():
            replication = stack.enter_context(replicating(site, []))
            before = reach(replication)
        (site.source / "file").write_bytes(b"written while the target was away")
        ticket = replication.request_point(consistent=False)
        assert not ticket.reached.is_set()
        with site.receiver(port=site.port):
            assert ticket.reached.wait(WAIT)
            assert ticket.point is not None
            assert ticket.point.number > before.number
            assert site.differences("--exclude=/.dtesx-tmp.*") == ""
            stack.close()


def test_changes_are_not_lost_with_the_stream_that_was_to_carry_their_renames(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.source / "old").write_bytes(b"x" * 100)
    move, failed = SourceSession.move, threading.Event()

    def fails_once(*arguments: object) -> None:
        if not failed.is_set():
            failed.set()
            raise StreamUnknown("the target was restarted")
        move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SourceSession, "move", fails_once)
    with replicating(site, []) as replication:
        reach(replication)
        os.rename(site.source / "old", site.source / "new")
        (site.source / "other").write_bytes(b"also changed")
        reach(replication)
        assert failed.is_set()
        assert site.differences("--exclude=/.dtesx-tmp.*") == ""


@pytest.mark.parametrize("lost", ["move", "mirror"])
def test_names_are_exchanged_once_whatever_is_lost(
    site: Site, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [site.source / name for name in ("one", "other")]
    for path in names:
        path.write_bytes(os.urandom(100))
        os.utime(path, ns=(1, 1))
    send, state = getattr(SourceSession, lost), {"armed": False}

    def fails_once(session: SourceSession, *arguments: object, **options: object) -> None:
        if state["armed"]:
            state["armed"] = False
            session.wait(1.0)  # until what was sent before has been applied
            raise StreamUnknown("the target was restarted")
        send(session, *arguments, **options)

    monkeypatch.setattr(SourceSession, lost, fails_once)
    with replicating(site, []) as replication:
        reach(replication)
        state["armed"] = True
        exchange(*names)
        reach(replication)
        assert not state["armed"]
        assert site.differences("--checksum", "--exclude=/.dtesx-tmp.*") == ""
