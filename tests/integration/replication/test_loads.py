"""Other people's programs that do to a tree what they can: the replica equals it afterwards.

``DTESX_TORTURE`` has them work longer.
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from dtesx.capture import capture as captured
from dtesx.model.changes import Changes
from dtesx.model.replication import ReplicationPhase
from dtesx.replication.continuous import following
from dtesx.replication.continuous.consistent import Capture

from .conftest import Site
from .edges.conftest import file_system
from .test_replicating import replicating, settled

pytestmark = pytest.mark.integration

_LONG = "DTESX_TORTURE" in os.environ
_SECONDS = 15.0 if _LONG else 2.0
_TIMES = 6 if _LONG else 1
_PLACES = [("ext4", True), ("xfs", False), ("btrfs", True)]
if _LONG:
    _PLACES += [("ext4", False), ("xfs", True), ("btrfs", False)]

_STRESS = """
    --hdd 1 --hdd-bytes 8m --iomix 1 --iomix-bytes 8m --fallocate 1 --fallocate-bytes 8m --fpunch 1
    --sync-file 1 --sync-file-bytes 4m --seek 1 --seek-size 8m
    --mmap 1 --mmap-file --mmap-bytes 8m --aio 1
    --link 1 --symlink 1 --rename 1 --dir 1 --dir-dirs 256 --dirdeep 1 --dirdeep-inodes 2000 --filename 1
    --dentry 1 --dentries 512 --chmod 1 --chown 1 --utime 1 --xattr 1 --touch 1
"""
"""What stress-ng changes below a directory; it is killed in the middle of it, or else it would clean up."""

_FIO = """
    --rw=randwrite --bs=4k --size=6m --fallocate=none --verify=crc32c --verify_state_save=0 --rate_iops=800
    --iodepth=8
"""
_JOBS = """
    --name=buffered --ioengine=psync --name=direct --ioengine=psync --direct=1
    --name=libaio --ioengine=libaio --direct=1 --name=libaio-buffered --ioengine=libaio
    --name=io_uring --ioengine=io_uring --name=io_uring-direct --ioengine=io_uring --direct=1
    --name=mmap --ioengine=mmap
"""


@pytest.fixture(params=_PLACES, ids=lambda place: f"{place[0]}-{'A' if place[1] else 'B'}")
def watched(bare_site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose source is a file system of its own, on which byte ranges are known or not."""
    kind, ranges = request.param
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(
            following, "Capture", partial(captured.Capture, ranges=ranges)
        )
        # The target's is of the same kind: others may not hold the same attributes.
        for place in (bare_site.source, bare_site.target):
            stack.enter_context(file_system(kind, place.with_suffix(".img"), place))
        stack.enter_context(bare_site.receiver())
        yield bare_site


@contextmanager
def _stressed(where: Path) -> Iterator[None]:
    """Have stress-ng at work below a directory; it is killed at the end."""
    # One worker alone would keep two processors busy.
    argv = [
        "nice",
        "-n",
        "10",
        "stress-ng",
        "--temp-path",
        str(where),
        "--timeout",
        "1h",
        *shlex.split(_STRESS),
    ]
    process = spawn(argv)
    try:
        yield
        assert process.poll() is None, "stress-ng ended by itself"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(ProcessLookupError):
            while True:  # what it had the kernel do is done
                os.killpg(process.pid, 0)
                time.sleep(0.01)


def test_what_stress_ng_leaves_arrives(watched: Site) -> None:
    with replicating(watched) as running:
        for number in range(_TIMES):
            (place := watched.source / f"{number}").mkdir()
            with _stressed(place):
                time.sleep(_SECONDS)
            running.caught_up()
            assert any(place.rglob("*"))
            settled(watched, "--checksum", "--exclude=/lost+found")


class Forgetful:
    """Tells what changes, and loses track of it when it is told to ``forget``."""

    def __init__(self) -> None:
        self.forget = threading.Event()
        self._capture: Capture | None = None

    def through(self, capture: Capture) -> Forgetful:
        """Tell what ``capture`` tells."""
        self._capture = capture
        return self

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        assert self._capture is not None
        changes = self._capture.drain(still=still)
        if self.forget.is_set():
            self.forget.clear()
            changes["/data"] = Changes(everything=True)
        return changes


def test_what_stress_ng_leaves_arrives_though_changes_were_lost(watched: Site) -> None:
    forgetful = Forgetful()
    with replicating(watched, through=forgetful.through) as running:
        for number in range(_TIMES):
            (place := watched.source / f"{number}").mkdir()
            with _stressed(place):
                time.sleep(_SECONDS)
                forgetful.forget.set()  # and a mirror of everything is under way when it is killed
                running.until(lambda state: state.phase is ReplicationPhase.MIRRORING)
                time.sleep(0.1)
            running.caught_up()
            settled(watched, "--checksum", "--exclude=/lost+found")


def _fio(where: Path, number: int, *options: str) -> None:
    options = (f"--directory={where}", f"--randseed={number}", *options)
    run(["fio", *shlex.split(_FIO), *options, *shlex.split(_JOBS)])


def test_what_fio_writes_can_be_verified_on_the_replica(watched: Site) -> None:
    with replicating(watched) as running:
        for number in range(_TIMES):
            _fio(watched.source, number, "--do_verify=0")
            running.caught_up()
            _fio(watched.target, number, "--verify_only")
            settled(watched, "--checksum", "--exclude=/lost+found")
