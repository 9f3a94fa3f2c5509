from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dtesx.base.errors import CommandFailed, Conflict, DtesxError, Interrupted, TargetFull
from dtesx.management.workers import Limits, LocalWorkers
from dtesx.model.inventory import Firmware
from dtesx.model.layout import Layout
from dtesx.model.target import Paused, WorkerPhase, WorkerSpec
from dtesx.wire.identity import create

pytestmark = pytest.mark.integration

SPEC = WorkerSpec("job-1", Layout(Firmware.BIOS, ()), ("6000C29-1",), "127.0.0.1", 1500, "PEM", "/nowhere")
SCRIPT = Path(__file__).with_name("fake_worker.py")


@dataclass
class Place:
    """A directory of jobs, in which services come and go."""

    root: Path
    released: list[tuple[Path, Sequence[str]]] = field(default_factory=list)
    services: list[LocalWorkers] = field(default_factory=list)

    def service(self, *, start: float = 20, stop: float = 10) -> LocalWorkers:
        made = LocalWorkers(
            self.root,
            release=lambda where, uuids: self.released.append((where, uuids)),
            command=(sys.executable, str(SCRIPT), "--directory"),
            limits=Limits(start, stop),
        )
        self.services.append(made)
        return made

    def mode(self, mode: str) -> None:
        (self.root / "job-1").mkdir(exist_ok=True)
        (self.root / "job-1" / "mode").write_text(mode)

    def pid(self) -> int:
        return int((self.root / "job-1" / "worker.lock").read_text())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "jobs")
    made.root.mkdir()
    yield made
    for service in made.services:
        service.close()


def alive(pid: int) -> bool:
    try:
        return b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    except FileNotFoundError:
        return False


def wait_dead(pid: int) -> None:
    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_start_and_stop(place: Place) -> None:
    workers = place.service()
    assert workers.status("job-1") is None
    status = workers.start(SPEC)
    assert status.phase is WorkerPhase.LISTENING
    assert workers.status("job-1") == status
    assert (place.root / "job-1" / "worker.json").stat().st_mode & 0o077 == 0
    workers.stop("job-1")
    assert workers.status("job-1") is None
    assert not alive(status.pid)
    workers.stop("job-1")
    workers.stop("never heard of")
    assert {str(where) for where, _ in place.released} == {str(place.root / "job-1")}


def test_a_listening_worker_is_left_alone(place: Place) -> None:
    workers = place.service()
    assert workers.start(SPEC).pid == workers.start(SPEC).pid


def test_another_spec_makes_another_worker(place: Place) -> None:
    workers = place.service()
    first = workers.start(SPEC)
    second = workers.start(replace(SPEC, port=1501))
    assert first.pid != second.pid
    assert not alive(first.pid)


def test_a_restarted_service_finds_its_worker(place: Place) -> None:
    status = place.service().start(SPEC)
    after = place.service()
    assert after.status("job-1") == status
    assert after.start(SPEC).pid == status.pid
    after.stop("job-1")
    assert not alive(status.pid)


def test_a_killed_worker_is_noticed_and_its_mounts_undone(place: Place) -> None:
    workers = place.service()
    pid = workers.start(SPEC).pid
    os.kill(pid, signal.SIGKILL)
    wait_dead(pid)
    assert workers.status("job-1") is None
    workers.stop("job-1")
    assert place.released[-1] == (place.root / "job-1", ("6000C29-1",))
    assert workers.start(SPEC).pid != pid


def test_a_deaf_worker_is_killed(place: Place) -> None:
    place.mode("deaf")
    workers = place.service(stop=0.3)
    pid = workers.start(SPEC).pid
    workers.stop("job-1")
    assert not alive(pid)
    assert place.released


def test_the_workers_own_error_is_raised(place: Place) -> None:
    place.mode("failed")
    with pytest.raises(TargetFull, match="no space for the replica") as caught:
        place.service().start(SPEC)
    assert caught.value.hint == "make some"


def test_a_worker_that_dies_at_once_shows_its_log(place: Place) -> None:
    place.mode("crash")
    with pytest.raises(CommandFailed, match=r"status 7.*no such disk") as caught:
        place.service().start(SPEC)
    assert "worker.log" in caught.value.hint


def test_a_worker_that_never_listens_is_ended(place: Place) -> None:
    place.mode("silent")
    with pytest.raises(DtesxError, match="does not listen"):
        place.service(start=0.7).start(SPEC)
    wait_dead(place.pid())


def test_a_stopping_service_waits_for_no_worker(place: Place) -> None:
    place.mode("silent")
    workers = place.service()
    caught: list[BaseException] = []

    def start() -> None:
        try:
            workers.start(SPEC)
        except DtesxError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(0.5)
    workers.close()
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(caught[0], Interrupted)
    wait_dead(place.pid())


def test_a_reused_process_number_is_not_the_worker(place: Place) -> None:
    job = place.root / "job-1"
    job.mkdir()
    (job / "worker.lock").write_text(f"{os.getpid()}\n")
    workers = place.service()
    assert workers.status("job-1") is None
    workers.stop("job-1")  # and this test process lives on
    assert workers.start(SPEC).pid != os.getpid()


def test_ports_are_given_out_once(place: Place) -> None:
    workers = place.service()
    first = workers.free_port()
    second = workers.free_port()
    assert len({first, second}) == 2
    workers.start(replace(SPEC, port=first))
    assert first not in {workers.free_port(), place.service().free_port()}


def test_a_port_in_use_is_passed_over(place: Place) -> None:
    free = place.service().free_port()
    with socket.create_server(("", free)):
        assert place.service().free_port() != free


def test_a_free_port_can_be_connected_to_and_is_free_again(place: Place) -> None:
    workers = place.service()
    with workers.listening("", 0) as port:
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(Conflict), workers.listening("", port):
            pass
    with workers.listening("", 0) as again:
        assert again == port


def test_a_listening_worker_is_asked_itself(place: Place) -> None:
    workers = place.service()
    workers.start(SPEC)
    with workers.listening(SPEC.job, SPEC.port) as port:
        assert port == SPEC.port


def test_a_real_worker_is_paused_and_stays_so_over_a_restart(tmp_path: Path) -> None:
    spec = replace(
        SPEC,
        disk_uuids=(),
        port=0,
        source_certificate=create("source").certificate,
        identity_directory=str(tmp_path / "identity"),
    )
    (tmp_path / "identity").mkdir()
    workers = LocalWorkers(tmp_path / "jobs", release=lambda _where, _uuids: None)
    try:
        assert workers.pause("job-1") == Paused(all=True)  # before there is one
        workers.start(spec)
        assert workers.paused("job-1")
        assert workers.resume("job-1") == Paused()
        assert not workers.paused("job-1")
        assert workers.pause("job-1") == Paused(all=True)
        workers.stop("job-1")
        workers.start(spec)
        assert workers.paused("job-1")
        os.kill(workers.start(spec).pid, signal.SIGKILL)
        assert workers.resume("job-1") == Paused()
        assert not workers.paused("job-1")
    finally:
        workers.close()
