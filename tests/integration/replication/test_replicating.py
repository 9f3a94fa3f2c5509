"""Continuous replication between a tree and its replica, over the loopback interface."""

from __future__ import annotations

import mmap
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from dtesx.base.run import run
from dtesx.capture.capture import Capture as Events
from dtesx.model.changes import Changes
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import ReplicationOptions, ReplicationPhase, ReplicationStatus
from dtesx.model.request import MirrorRequest
from dtesx.replication.continuous.consistent import Capture
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.control import MirrorControl

from .conftest import DEFAULT_ACL, QUICK, Site

pytestmark = pytest.mark.integration

WAIT = 30.0


class Scans:
    """Knows nothing, so everything has to be looked at."""

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        return {"/data": Changes(everything=True)}


class Counting:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self._capture: Capture | None = None
        self._count = 0

    def through(self, capture: Capture) -> Counting:
        """Tell what ``capture`` tells."""
        self._capture = capture
        return self

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        assert self._capture is not None
        found = self._capture.drain(still=still)
        self._count += 1
        return found

    def wait(self, times: int) -> None:
        """Wait until it was asked so often from now on."""
        until, deadline = self._count + times, time.monotonic() + WAIT
        while self._count < until:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@dataclass
class Running:
    states: list[ReplicationStatus] = field(default_factory=list)

    def until(self, done: Callable[[ReplicationStatus], bool]) -> None:
        deadline = time.monotonic() + WAIT
        while not (self.states and done(self.states[-1])):
            assert time.monotonic() < deadline, self.states[-1:]
            time.sleep(0.02)

    def caught_up(self) -> None:
        """Wait until the target has what there is now."""
        now = time.time()
        self.until(lambda state: state.current > now and not state.failed)


@contextmanager
def replicating(
    site: Site,
    *,
    scans: bool = False,
    through: Callable[[Capture], Capture] = lambda capture: capture,
    status: Callable[[ReplicationStatus], None] | None = None,
    control: MirrorControl | None = None,
    **given: Any,
) -> Iterator[Running]:
    """Replicate the site; ``given`` is what of its assignment is other than usual."""
    stop, running = threading.Event(), Running()
    request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",))
    usual: dict[str, Any] = {
        "mirror": MirrorOptions(),
        "options": ReplicationOptions(epoch=0.2),
        "link": LinkOptions(),
        "opener": site.view,
        "backoff": QUICK,
    }
    assignment = Assignment(request, site.us, **(usual | given))
    with Follower(["/data"], site.view) as follower:
        capture = Scans() if scans else through(follower)
        told = status or running.states.append
        replication = Replication(assignment, capture, status=told, stop=stop, control=control)
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            yield running
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()


def difference(site: Site, *options: str) -> bytes:
    # What marks a move that is not on disk yet goes when it is.
    argv = ["rsync", "-aHAXn", "--delete", "--itemize-changes", "--exclude=/.dtesx-tmp.*", *options]
    return run([*argv, f"{site.source}/", f"{site.target}/"]).stdout


def settled(site: Site, *options: str) -> None:
    """Wait until nothing differs: what marks a move goes a little later, and with it the root's new times."""
    deadline = time.monotonic() + WAIT
    while found := difference(site, *options):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.parametrize("scans", [False, True])
def test_what_changes_arrives(site: Site, scans: bool) -> None:
    (site.source / "a").mkdir()
    (site.source / "a/file").write_bytes(b"first")
    with site.receiver(), replicating(site, scans=scans) as running:
        running.caught_up()
        assert difference(site) == b""
        (site.source / "a/file").write_bytes(b"second")
        (site.source / "a/large").write_bytes(random.randbytes(3 << 20))
        os.rename(site.source / "a", site.source / "b")
        running.caught_up()
        assert difference(site) == b""
        os.utime(site.source, ns=(1, 1))
        os.rename(site.source / "b/file", site.source / "b/renamed")
        running.caught_up()
        settled(site)
        with (site.source / "b/large").open("r+b") as file:
            file.seek(1 << 20)
            file.write(b"changed")
        running.caught_up()
        assert difference(site) == b""
        assert running.states[-1].phase is ReplicationPhase.REPLICATING


def test_names_that_cannot_travel_hold_nothing_up(site: Site) -> None:
    with site.receiver(), replicating(site) as running:
        running.caught_up()
        (site.source / ".dtesx-tmp.mine").mkdir()
        (site.source / ".dtesx-tmp.mine/file").touch()
        os.rename(site.source / ".dtesx-tmp.mine", site.source / ".dtesx-tmp.other")
        (site.source / "file").touch()
        now = time.time()
        running.until(lambda state: state.current > now)
        assert difference(site) == b""
        assert running.states[-1].stats.problems[0].path.startswith("/data/.dtesx-tmp.")


def test_new_files_get_what_the_root_gives_them_now(site: Site) -> None:
    with site.receiver(), replicating(site) as running:
        running.caught_up()
        os.setxattr(site.source, "system.posix_acl_default", DEFAULT_ACL)
        running.caught_up()
        (site.source / "listed").touch()
        os.removexattr(site.source, "system.posix_acl_default")
        (site.source / "plain").touch()
        running.caught_up()
        assert difference(site) == b""


def test_what_changed_while_nobody_watched_arrives_although_its_times_do_not_show_it(site: Site) -> None:
    changing, large = site.source / "changing", site.source / "large"
    changing.write_bytes(b"before")
    large.write_bytes(random.randbytes(3 << 20))
    with site.receiver():
        with replicating(site) as running:
            running.caught_up()
        times = [(path, path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in (changing, large)]
        changing.write_bytes(b"after!")
        with large.open("r+b") as file:
            file.write(b"other")
        for path, *ns in times:
            os.utime(path, ns=(ns[0], ns[1]))
        with replicating(site) as running:
            running.caught_up()
            assert difference(site, "--checksum") == b""


def test_what_is_written_by_a_name_that_is_gone_is_seen_by_the_other_one(site: Site) -> None:
    kept, gone = site.source / "kept", site.source / "gone"
    kept.write_bytes(bytes(5000))
    os.link(kept, gone)
    with site.receiver(), replicating(site) as running, gone.open("r+b", buffering=0) as file:
        running.caught_up()
        gone.unlink()
        for round_ in range(3):
            file.write(b"written %d" % round_)
            os.utime(file.fileno(), ns=(1, round_))
            running.caught_up()
            assert difference(site, "--checksum") == b""
        with mmap.mmap(file.fileno(), 5000) as memory:
            for round_ in range(3):
                memory[1000 + round_] = 1
                running.caught_up()
                assert difference(site, "--checksum") == b""


def test_files_elsewhere_make_no_epoch_although_they_might_have_a_name_here(site: Site) -> None:
    outside, other = site.source.parent / "outside", site.source.parent / "other"
    with replicating(site, options=ReplicationOptions(epoch=0.2, consistent_every=0)) as running:
        running.caught_up()
        before = running.states[-1].epoch
        for round_ in range(3):
            outside.write_bytes(bytes([round_]))
            if not round_:
                other.hardlink_to(outside)
            running.caught_up()
        assert running.states[-1].epoch == before
        (site.source / "here").hardlink_to(outside)
        running.caught_up()
        outside.write_bytes(b"by its name elsewhere")
        settled(site)


def test_what_changes_by_a_name_that_goes_while_nothing_is_sent_is_seen_by_the_other_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Events, "_load_ranges", lambda _: None)  # ranges are told without names
    control, drains = MirrorControl(), Counting()
    (site.source / "dir").mkdir()
    kept, gone = site.source / "kept", site.source / "dir/gone"
    kept.write_bytes(bytes(5000))
    options = ReplicationOptions(epoch=0.2, consistent_every=0)
    with replicating(site, control=control, options=options, through=drains.through) as running:
        running.caught_up()
        control.pause()
        running.until(lambda state: state.phase is ReplicationPhase.PAUSED)
        os.link(kept, gone)
        os.utime(gone, ns=(1, 1))
        drains.wait(3)
        gone.unlink()
        drains.wait(3)
        control.resume()
        running.caught_up()
        assert difference(site, "--checksum") == b""
