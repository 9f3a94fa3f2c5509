"""What goes wrong in real life: cut links, full disks, killed processes, impatient users."""

from __future__ import annotations

import os
import select
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import ConnectionFailed, Interrupted, Refused
from dtesx.base.retry import Backoff, wait_until
from dtesx.base.run import run
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.model.target import TargetOptions, WorkerPhase
from dtesx.replication import sending
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import create
from dtesx.wire.items import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


class Proxy:
    """Forwards connections to a port, and cuts each after its number of bytes (None: never)."""

    def __init__(self, port: int, cuts: list[int | None]) -> None:
        self._target = port
        self._cuts = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            cut = self._cuts[min(self.connections, len(self._cuts) - 1)]
            self.connections += 1
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                self._forward(client, server, cut)

    def _forward(self, client: socket.socket, server: socket.socket, cut: int | None) -> None:
        passed = 0
        while not self._stop.is_set() and (cut is None or passed < cut):
            for ready in select.select([client, server], [], [], 0.1)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (server if ready is client else client).sendall(data)
                passed += len(data)


def _fill(root: Path, files: int, size: int) -> None:
    for number in range(files):
        directory = root / f"d{number % 7}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_bytes(os.urandom(size))


def test_cut_links_are_survived(site: Site, rich: Path) -> None:
    _fill(site.source, 200, 20_000)
    with Proxy(site.port, [0, 700, 5_000, 300_000, 2_000_000, 4_000_000, None]) as proxy:
        stats = site.mirror(port=proxy.port, backoff=Backoff(first=0.01, cap=0.05, tries=7))
        assert proxy.connections == 7
    assert site.differences() == ""
    assert stats.problems == ()
    assert stats.files_sent >= stats.files_total
    assert stats.bytes_skipped + stats.bytes_sent >= stats.bytes_total
    assert MirrorPhase.CONNECTING in {phase for phase, _ in site.progress}


def test_a_link_that_never_holds_ends_with_an_error(site: Site) -> None:
    _fill(site.source, 20, 1000)
    with Proxy(site.port, [700]) as proxy, pytest.raises(ConnectionFailed, match="for good") as caught:
        site.mirror(port=proxy.port)
    assert caught.value.hint
    assert proxy.connections == 5


def test_nobody_listens(bare_site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="does not answer") as caught:
        bare_site.mirror(port=port)
    assert "firewall" in caught.value.hint


def test_stop_ends_soon_and_the_next_mirror_completes(site: Site) -> None:
    _fill(site.source, 3, 30 << 20)
    control = MirrorControl()
    stopped: list[float] = []

    def on_progress(phase: MirrorPhase, stats: object) -> None:
        if phase is MirrorPhase.RUNNING and not control.stopped:
            stopped.append(time.monotonic())
            control.stop()

    with pytest.raises(Interrupted):
        site.mirror(control=control, on_progress=on_progress)
    assert time.monotonic() - stopped[0] < 1.0
    site.mirror()
    assert site.differences() == ""


def test_progress_is_cumulative(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_PROGRESS", 0.0)  # at every chance, however fast the machine
    _fill(site.source, 4, 30 << 20)
    site.mirror()
    seen = [stats for phase, stats in site.progress if phase is MirrorPhase.RUNNING]
    assert all(stats.files_total == 4 and stats.bytes_total == 120 << 20 for stats in seen)
    sent = [stats.bytes_sent for stats in seen]
    assert sent == sorted(sent)
    assert any(0 < count < 120 << 20 for count in sent)
    assert WorkerPhase.RECEIVING in {phase for phase, _, _ in site.reports}


@contextmanager
def _small_disk(where: Path, image: Path) -> Iterator[None]:
    with image.open("wb") as file:
        file.truncate(48 << 20)
    run(["mkfs.ext4", "-q", "-m", "0", str(image)])
    run(["mount", "-o", "loop", str(image), str(where)])
    try:
        yield
    finally:
        run(["umount", str(where)])


@pytest.mark.parametrize("size", [10_000, 4 << 20])
def test_a_full_target_waits_and_goes_on_when_there_is_space(
    bare_site: Site, tmp_path: Path, size: int
) -> None:
    _fill(bare_site.source, (20 << 20) // size, size)
    ballast = tmp_path / "mount" / "ballast"
    ballast.parent.mkdir()
    with _small_disk(ballast.parent, tmp_path / "image"):
        bare_site.target = ballast.parent / "replica"
        bare_site.target.mkdir()
        ballast.write_bytes(bytes(30 << 20))
        full = threading.Event()

        def on_progress(phase: MirrorPhase, _: MirrorStats) -> None:
            if phase is MirrorPhase.TARGET_FULL and not full.is_set():
                full.set()
                assert wait_until(lambda: bare_site.reports[-1][0] is WorkerPhase.TARGET_FULL, timeout=5)
                assert "no space is left" in bare_site.reports[-1][2]
                ballast.unlink()

        with bare_site.receiver(options=TargetOptions(retry_delay=0.3)):
            stats = bare_site.mirror(on_progress=on_progress)
        assert full.is_set()
        assert (stats.problems, stats.files_sent) == ((), (20 << 20) // size)
        assert bare_site.differences() == ""
        assert not list(bare_site.target.rglob(f"{TEMPORARY_PREFIX.decode()}*"))


def test_a_mirror_that_waits_for_space_can_be_stopped(bare_site: Site, tmp_path: Path) -> None:
    _fill(bare_site.source, 60, 1 << 20)
    control = MirrorControl()

    def on_progress(phase: MirrorPhase, _: MirrorStats) -> None:
        if phase is MirrorPhase.TARGET_FULL:
            control.stop()

    with _small_disk(bare_site.target, tmp_path / "image"), bare_site.receiver():
        with pytest.raises(Interrupted):
            bare_site.mirror(control=control, on_progress=on_progress)
        for path in sorted(bare_site.source.rglob("f*"))[:30]:
            path.unlink()
        bare_site.mirror()  # the receiver noticed that the first one left
        assert bare_site.differences("--exclude=/lost+found") == ""
        assert (bare_site.target / "lost+found").is_dir()


def test_an_attribute_too_large_for_the_target_is_a_problem_not_a_wait(
    bare_site: Site, tmp_path: Path
) -> None:
    with _small_disk(bare_site.target, tmp_path / "image"):
        value = bytes(10_000)
        source = Path("/dev/shm") / f"dtesx-{os.getpid()}"
        source.mkdir()
        try:
            (source / "file").write_bytes(b"x")
            os.setxattr(source / "file", "trusted.big", value)
            bare_site.source = source
            with bare_site.receiver():
                stats = bare_site.mirror()
        finally:
            shutil.rmtree(source)
        assert [(p.path, "too large" in p.reason) for p in stats.problems] == [("/data/file", True)]
        assert (bare_site.target / "file").read_bytes() == b"x"


def test_killed_receiver_leaves_nothing_half(bare_site: Site) -> None:
    site = bare_site
    _fill(site.source, 300, 10_000)
    _fill(site.source / "d0", 4, 20 << 20)
    for path in site.source.rglob("f*"):
        os.utime(path, ns=(1, 1_500_000_000_000_000_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pids = [site.spawn_receiver(listener)]
        ended = threading.Event()

        def killer() -> None:
            for due in (1, 1 << 20, 40 << 20, 70 << 20):
                while _written(site.target) < due and not ended.wait(0.002):
                    pass
                os.kill(pids[-1], 9)
                os.waitpid(pids[-1], 0)
                _whole_or_absent(site)
                pids.append(site.spawn_receiver(listener))

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            site.mirror(backoff=Backoff(first=0.1, cap=0.5, tries=20))
        finally:
            ended.set()
            thread.join()
            os.kill(pids[-1], 9)
            os.waitpid(pids[-1], 0)
    assert len(pids) == 5
    assert site.differences() == ""
    assert not list(site.target.rglob(f"{TEMPORARY_PREFIX.decode()}*"))


def _written(root: Path) -> int:
    total = 0
    for directory, _, names in os.walk(root):  # passes over what goes while it looks
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def _whole_or_absent(site: Site) -> None:
    """No file shows under its name before it is complete."""
    for path in site.target.rglob("f*"):
        if TEMPORARY_PREFIX.decode() in str(path):
            continue
        twin = site.source / path.relative_to(site.target)
        assert path.read_bytes() == twin.read_bytes()


def test_a_stranger_is_refused(site: Site) -> None:
    with pytest.raises(Refused, match="certificate"):
        site.mirror(identity=create("stranger"))


def test_a_wrong_target_is_refused(site: Site) -> None:
    site.them = create("somebody else")
    with pytest.raises(Refused, match="another certificate") as caught:
        site.mirror()
    assert "pair" in caught.value.hint


def test_an_unknown_root_is_refused(site: Site) -> None:
    with pytest.raises(Refused, match="/nowhere"):
        site.mirror(root="/nowhere")


def test_a_new_connection_takes_over(site: Site) -> None:
    _fill(site.source, 6, 40 << 20)
    first_failed: list[Exception] = []
    running = threading.Event()

    def first() -> None:
        try:
            site.mirror(on_progress=lambda phase, _: running.set() if phase is MirrorPhase.RUNNING else None)
        except Exception as error:
            first_failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert running.wait(10)
    site.mirror()
    thread.join(10)
    assert [getattr(error, "code", "") for error in first_failed] == ["conflict"]
    assert site.differences() == ""


@pytest.mark.parametrize("size", [3 << 20, 5 << 20])
def test_a_file_that_shrinks_grows_or_goes_while_it_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from dtesx.mirror import content

    for name in ("gone", "grows", "shrinks"):
        (site.source / name).write_bytes(bytes(size))
    before = content.open_with_status

    def meddling(name: bytes, directory: int, link: int = 0) -> tuple[int, os.stat_result]:
        if name == b"gone":
            (site.source / "gone").unlink()
        opened = before(name, directory, link)
        if name == b"shrinks":
            os.truncate(site.source / "shrinks", 1 << 20)
        if name == b"grows":
            os.truncate(site.source / "grows", size + 1)
        return opened

    with monkeypatch.context() as patch:
        patch.setattr(content, "open_with_status", meddling)
        stats = site.mirror()
    assert stats.problems == ()
    assert (site.target / "shrinks").stat().st_size == 1 << 20
    assert (site.target / "grows").stat().st_size == size
    site.mirror()
    assert site.differences() == ""


def test_an_unreadable_file_is_a_problem_not_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bad", "good", "zlarge-bad"):
        (site.source / name).write_bytes(bytes((5 if name.startswith("z") else 2) << 20))
    before, before_late = os.pread, os.preadv

    def failing(fd: int, size: int, offset: int) -> bytes:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if path.endswith("bad") and offset:
            raise OSError(5, "Input/output error")
        return before(fd, size, offset)

    def failing_late(fd: int, buffers: list[memoryview], offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("bad") and offset >= 4 << 20:
            raise OSError(5, "Input/output error")
        return before_late(fd, buffers, offset)

    monkeypatch.setattr(os, "pread", failing)
    monkeypatch.setattr(os, "preadv", failing_late)
    stats = site.mirror()
    assert sorted(problem.path for problem in stats.problems) == ["/data/bad", "/data/zlarge-bad"]
    assert sorted(p.name for p in site.target.iterdir()) == ["good"]
