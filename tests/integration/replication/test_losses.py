"""What nobody tells of, and what is lost on its way: the replica equals its source all the same."""

from __future__ import annotations

import mmap
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtesx.capture import capture as capturing
from dtesx.capture import dirtied, fanotify

from .conftest import Site
from .cutting import Cut
from .edges.conftest import file_system
from .test_replicating import replicating, settled
from .vandal import Vandal

pytestmark = pytest.mark.integration

_LONG = "DTESX_TORTURE" in os.environ
_CUTS = 200 if _LONG else 12
_QUEUE = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())
_PAGE = 4096

Patch = pytest.MonkeyPatch


@pytest.fixture
def disk(bare_site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose source is a file system of its own."""
    with file_system(request.param, tmp_path / "source.img", bare_site.source), bare_site.receiver():
        yield bare_site


def _equal(site: Site) -> None:
    settled(site, "--checksum", "--exclude=/lost+found")


def _short_queue(patch: Patch) -> None:
    """And nobody reads it until it is full."""
    patch.setattr(fanotify, "_INIT", fanotify._INIT & ~fanotify._UNLIMITED_QUEUE)
    collect, full = capturing.Capture.collect, threading.Event()

    def late(capture: capturing.Capture) -> None:
        if fanotify._waiting(capture.fileno()) >= _QUEUE:
            full.set()
        if full.is_set():
            collect(capture)

    patch.setattr(capturing.Capture, "collect", late)


def _small_map(patch: Patch) -> None:
    patch.setattr(dirtied, "MOST_RANGES", 64)


def _little_room(patch: Patch) -> None:
    patch.setattr(capturing, "MOST_WAITING", 100)


def _many_events(source: Path) -> None:
    """More than the queue holds: names that come and go."""
    for number in range(_QUEUE // 2 + 1):
        os.mknod(source / f"short-{number}")
        os.unlink(source / f"short-{number}")


def _many_ranges(source: Path) -> None:
    with (source / "scattered").open("r+b") as file:
        for number in random.sample(range(1000), 300):
            os.pwrite(file.fileno(), random.randbytes(100), number * 64 * 1024)


def _many_names(source: Path) -> None:
    for number in range(200):
        (source / f"new-{number}").write_bytes(random.randbytes(10))


_OVERFLOWS = [(_short_queue, _many_events), (_small_map, _many_ranges), (_little_room, _many_names)]
_KINDS = ["ext4", "xfs", "btrfs"]


@pytest.mark.parametrize(
    ("disk", "limit", "load"),
    [
        (kind, *how)
        for at, kind in enumerate(_KINDS)
        for no, how in enumerate(_OVERFLOWS)
        if _LONG or at == no
    ],
    indirect=["disk"],
)
def test_what_overflows_is_made_up_for(
    disk: Site,
    monkeypatch: Patch,
    limit: Callable[[Patch], None],
    load: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit(monkeypatch)
    (disk.source / "scattered").write_bytes(random.randbytes(64 << 20))
    (disk.source / "tree").mkdir()
    Vandal(disk.source / "tree", 1).act(200)
    with replicating(disk) as running, (disk.source / "scattered").open("r+b") as file:
        running.caught_up()
        with mmap.mmap(file.fileno(), 0) as mapped:
            for number in range(2):
                load(disk.source)
                for page in random.sample(range(len(mapped) // _PAGE), 50):
                    mapped[page * _PAGE] ^= 1
                Vandal(disk.source / "tree", 10 + number).act(50)
            running.caught_up()
            _equal(disk)
    assert "changes were lost" in caplog.text


def _again(path: Path, content: bytes) -> bool:
    """Remove a file and make another of that name, which may get the same inode number; whether it did."""
    before = path.stat()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("disk", ["ext4"], indirect=True)  # others give no number twice, or not at once
@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("watched", [False, True])
def test_a_file_that_gets_the_inode_of_another_is_sent(disk: Site, size: int, watched: bool) -> None:
    path, reused = disk.source / "file", 0
    path.write_bytes(random.randbytes(size))
    for _ in range(3):
        with replicating(disk) as running:
            running.caught_up()
            _equal(disk)
            if watched:
                reused += _again(path, random.randbytes(size))
                running.caught_up()
                _equal(disk)
        if not watched:
            reused += _again(path, random.randbytes(size))
    with replicating(disk) as running:
        running.caught_up()
        _equal(disk)
    assert reused


def test_a_link_may_be_cut_anywhere_in_an_epoch(bare_site: Site) -> None:
    """After any number of bytes, both ways: while is asked, renamed, sent or confirmed."""
    source, rng = bare_site.source, random.Random(1)
    (source / "tree").mkdir()
    Vandal(source / "tree", 1).act(300)
    (source / "large").write_bytes(rng.randbytes(3 << 20))
    whole = 0
    with bare_site.receiver(), Cut(bare_site.port) as cut:
        bare_site.port = cut.port
        with replicating(bare_site) as running:
            running.caught_up()
            for number in range(_CUTS):
                cut.after(rng.randrange(whole) if number else None)
                Vandal(source / "tree", number).act(40)
                with (source / "large").open("r+b") as file:
                    os.pwrite(file.fileno(), rng.randbytes(20_000), rng.randrange(3 << 20))
                running.caught_up()
                settled(bare_site, "--checksum")
                whole = whole or cut.passed
    assert cut.cuts > _CUTS // 2
