"""A mirror that runs ahead of its connections, and one that may not transmit whenever it likes."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import UsageError
from dtesx.model.mirror import LinkOptions
from dtesx.model.queue import MIB, QueueLimits
from dtesx.model.request import MirrorPhase
from dtesx.model.transmission import Transmission
from dtesx.replication.queue.errors import QueueDamaged
from dtesx.replication.queue.storage import Folder

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


def test_a_mirror_waits_for_its_start(site: Site, rich: Path) -> None:
    start = datetime.now() + timedelta(seconds=1)
    site.mirror(link=LinkOptions(plan=Transmission(start=start)))
    assert MirrorPhase.SCHEDULED in {phase for phase, _ in site.progress}
    assert datetime.now() >= start
    assert site.differences() == ""


def test_a_threshold_that_is_never_reached_stops_nothing(site: Site, rich: Path) -> None:
    (site.source / "large").write_bytes(os.urandom(3 * MIB))
    site.mirror(link=LinkOptions(plan=Transmission(threshold=100), streams=2))
    assert site.differences() == ""
    os.utime(site.source / "large", ns=(1, 1))
    with (site.source / "large").open("r+b") as file:
        file.write(b"changed")
    site.mirror(link=LinkOptions(plan=Transmission(threshold=100)))
    assert site.differences() == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "queue").mkdir()
    return tmp_path / "queue"


@pytest.fixture
def much(site: Site) -> None:
    for number in range(6):
        (site.source / f"{number}").write_bytes(os.urandom(10 * MIB))


def test_what_the_connection_cannot_take_goes_to_disk(
    site: Site, much: None, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dtesx")
    ahead = QueueLimits(memory=32 * MIB, folder=str(folder), disk=200 * MIB, alert=1)
    site.mirror(link=LinkOptions(ahead=ahead, bandwidth=40 * MIB))
    assert "the disk queue is filling" in caplog.text
    assert list(folder.iterdir()) == []
    assert site.differences() == ""


def test_a_queue_without_its_folder_is_refused_at_once(site: Site, tmp_path: Path) -> None:
    ahead = QueueLimits(folder=str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="no directory"):
        site.mirror(link=LinkOptions(ahead=ahead))
    assert site.progress == []


def test_a_full_queue_makes_the_walk_wait(site: Site) -> None:
    (site.source / "file").write_bytes(os.urandom(4 * MIB))
    site.mirror(link=LinkOptions(ahead=QueueLimits(pending=3)))
    assert site.differences() == ""


def test_a_broken_disk_queue_ends_the_mirror_and_the_next_one_completes_it(
    site: Site, much: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Folder) -> None:
        raise OSError(5, "Input/output error")

    ahead = QueueLimits(memory=32 * MIB, folder=str(folder))
    monkeypatch.setattr(Folder, "file", broken)
    with pytest.raises(QueueDamaged):
        site.mirror(link=LinkOptions(ahead=ahead, bandwidth=10 * MIB))
    monkeypatch.undo()
    site.mirror(link=LinkOptions(ahead=ahead))
    assert site.differences() == ""
