"""When changes travel: by a plan, and not while the replication is paused; they are followed all the time."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dtesx.model.mirror import LinkOptions, MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.model.queue import QueueLimits
from dtesx.model.replication import ReplicationPhase
from dtesx.model.transmission import Transmission, Window
from dtesx.replication.control import MirrorControl

from .conftest import Site
from .test_replicating import difference, replicating

pytestmark = pytest.mark.integration


def closed_window() -> Window:
    """Closed for hours, whatever time it is."""
    now = datetime.now()
    return Window((now + timedelta(hours=6)).time(), (now + timedelta(hours=7)).time())


def test_outside_of_its_window_nothing_travels(bare_site: Site) -> None:
    (bare_site.source / "file").write_bytes(b"content")
    link = LinkOptions(plan=Transmission(window=closed_window()))
    with bare_site.receiver(), replicating(bare_site, link=link) as running:
        running.until(lambda state: state.phase is ReplicationPhase.SCHEDULED)
        (bare_site.source / "other").touch()
        cycles = len(running.states)
        running.until(lambda _state: len(running.states) > cycles + 5)
        assert not list(bare_site.target.iterdir())


def test_changes_wait_until_they_are_as_many_as_the_threshold(bare_site: Site) -> None:
    link = LinkOptions(plan=Transmission(threshold=10), ahead=QueueLimits(memory=32 << 20))
    with bare_site.receiver(), replicating(bare_site, link=link) as running:
        running.until(lambda state: state.epoch is not None)  # a first mirror is no matter of thresholds
        (bare_site.source / "few").touch()
        running.until(lambda state: state.phase is ReplicationPhase.SCHEDULED)
        assert not (bare_site.target / "few").exists()
        for number in range(900):  # of 4 KiB each: more than a tenth of the queue
            (bare_site.source / f"many-{number}").touch()
        # The last ones may be fewer than the threshold again.
        running.until(lambda _state: (bare_site.target / "few").exists())


def test_a_session_a_day_sends_what_changed_once(bare_site: Site) -> None:
    soon = datetime.now() + timedelta(seconds=1)
    link = LinkOptions(plan=Transmission(start=soon, interval=timedelta(days=1)))
    with bare_site.receiver(), replicating(bare_site, link=link) as running:
        running.until(lambda state: state.epoch is not None or state.phase is ReplicationPhase.SCHEDULED)
        running.until(lambda state: state.epoch is not None and state.phase is ReplicationPhase.REPLICATING)
        (bare_site.source / "late").touch()
        running.until(lambda state: state.phase is ReplicationPhase.SCHEDULED)
        assert not (bare_site.target / "late").exists()


def test_a_paused_replication_sends_nothing_and_forgets_nothing(bare_site: Site) -> None:
    control = MirrorControl()
    with bare_site.receiver(), replicating(bare_site, control=control) as running:
        running.caught_up()
        control.pause()
        running.until(lambda state: state.phase is ReplicationPhase.PAUSED)
        (bare_site.source / "file").write_bytes(b"content")
        cycles = len(running.states)
        running.until(lambda _state: len(running.states) > cycles + 5)
        assert not (bare_site.target / "file").exists()
        control.resume()
        running.caught_up()
        assert difference(bare_site) == b""


def test_a_replication_is_stopped_by_command(bare_site: Site) -> None:
    control = MirrorControl()
    with bare_site.receiver(), replicating(bare_site, control=control) as running:
        running.caught_up()
        control.stop()


def test_what_a_slow_link_does_not_take_waits_in_the_disk_queue(bare_site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    folder.mkdir()
    control = MirrorControl(bandwidth=5 << 20)
    link = LinkOptions(ahead=QueueLimits(memory=32 << 20, folder=str(folder)))
    with bare_site.receiver(), replicating(bare_site, link=link, control=control) as running:
        running.caught_up()
        (bare_site.source / "large").write_bytes(os.urandom(60 << 20))
        running.until(lambda state: state.stats.bytes_sent >= 60 << 20)
        assert running.states[-1].stats.bytes_wire < 50 << 20
        control.bandwidth = 0
        running.caught_up()
        assert difference(bare_site, "--checksum") == b""


def test_ignored_deletes_leave_the_replica_its_names(bare_site: Site) -> None:
    mirror = MirrorOptions(orphans=OrphanPolicy(OrphanAction.KEEP))
    source, target = bare_site.source, bare_site.target
    for name in ("deleted", "renamed", "back", "tree/deep/file"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    with bare_site.receiver():
        with replicating(bare_site, mirror=mirror) as running:
            running.caught_up()
            (source / "deleted").unlink()
            (source / "back").unlink()
            os.rename(source / "renamed", source / "new-name")
            os.rename(source / "tree", source / "new-tree")
            running.caught_up()
            (source / "back").write_bytes(b"overwritten")
            running.caught_up()
        with replicating(bare_site, mirror=mirror) as running:  # mirrors again
            running.caught_up()
    for name in ("deleted", "renamed", "tree/deep/file"):
        assert (target / name).read_bytes() == name.encode()
    assert (target / "back").read_bytes() == b"overwritten"
    assert (target / "new-name").read_bytes() == b"renamed"
    assert (target / "new-tree/deep/file").read_bytes() == b"tree/deep/file"
