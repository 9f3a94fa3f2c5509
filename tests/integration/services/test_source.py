from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.management.source_client import SourceClient, pair
from dtesx.model.api import MirrorStatus, NewServer
from dtesx.model.link import LinkSpec, QueueSpec
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.model.tasks import Task
from dtesx.replication.binding import Binding
from dtesx.replication.receiving import serve
from dtesx.replication.tasks import Tasks
from dtesx.wire.identity import create
from dtesx.wire.tls import server_context
from tests.integration.services.process import Service, service

pytestmark = pytest.mark.integration

APPLIANCE = create("appliance")


def client_of(running: Service, state: Path) -> SourceClient:
    token = (state / "token").read_text().strip()
    return SourceClient(
        pair(NewServer("alpha", "127.0.0.1", token, running.port), APPLIANCE.certificate), timeout=20
    )


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with a few files."""
    where = tmp_path / "tree"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "dtesx-test", str(where)], check=True)
    try:
        (where / "etc").mkdir()
        (where / "etc" / "hostname").write_text("alpha\n")
        (where / "big").write_bytes(os.urandom(3_000_000))
        os.symlink("etc/hostname", where / "link")
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


@contextmanager
def target(
    certificate: str,
    mount_point: Path,
    replica: Path,
    port: int = 0,
    job: str | None = None,
    tasks: Mapping[str, Task] | None = None,
) -> Iterator[int]:
    """A real receiver for one mount point."""
    stop = threading.Event()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        thread = threading.Thread(
            target=serve,
            args=(listener, server_context(APPLIANCE, [certificate]), {str(mount_point): replica}),
            kwargs={
                "binding": Binding(replica.parent / "roots.json"),
                "status": lambda *_: None,
                "stop": stop,
                "tasks": Tasks(replica.parent / "epochs", tasks or {}),
                "job": job,
            },
            daemon=True,
        )
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join(10)


def finished(client: SourceClient, job: str) -> MirrorStatus:
    deadline = time.monotonic() + 60
    while (status := client.mirror_status(job)).phase not in (
        MirrorPhase.DONE,
        MirrorPhase.FAILED,
        MirrorPhase.STOPPED,
    ):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def test_a_real_mirror_through_the_service(tmp_path: Path, tree: Path) -> None:
    state, replica = tmp_path / "state", tmp_path / "replica"
    replica.mkdir()
    with service("source", state) as running, closing(client_of(running, state)) as client:
        with target(client.certificate, tree, replica) as port:
            order = MirrorRequest("job-1", "127.0.0.1", port, APPLIANCE.certificate, (str(tree),))
            client.start_mirror(order)
            status = finished(client, "job-1")
            assert status.problem is None
            assert status.phase is MirrorPhase.DONE
            assert status.stats.files_sent >= 2
            assert (replica / "big").read_bytes() == (tree / "big").read_bytes()
            assert os.readlink(replica / "link") == "etc/hostname"

            (tree / "etc" / "hostname").write_text("alpha, later\n")
            (tree / "big").unlink()
            client.start_mirror(order)
            assert finished(client, "job-1").stats.orphans_removed == 1
            assert (replica / "etc" / "hostname").read_text() == "alpha, later\n"
            assert not (replica / "big").exists()
        assert running.end() == 0


def test_a_mirror_is_joined_as_its_job_says_and_can_be_paused(tmp_path: Path, tree: Path) -> None:
    state, replica = tmp_path / "state", tmp_path / "replica"
    replica.mkdir()
    (tree / "big").write_bytes(os.urandom(6 << 20))
    with (
        service("source", state) as running,
        closing(client_of(running, state)) as client,
        target(client.certificate, tree, replica) as port,
    ):
        order = MirrorRequest("job-1", "127.0.0.1", port, APPLIANCE.certificate, (str(tree),))
        wrong = replace(order, link=LinkSpec(queue=QueueSpec(folder=str(tmp_path / "missing"))))
        client.start_mirror(wrong)
        problem = finished(client, "job-1").problem
        assert problem is not None
        assert (problem.code, "no directory" in problem.message) == ("usage", True)

        client.start_mirror(replace(order, link=LinkSpec(bandwidth="2MiB/s", compress="auto")))
        assert wait_until(lambda: client.mirror_status("job-1").stats.bytes_wire > 1 << 20, timeout=20)
        client.pause_mirror("job-1")
        assert wait_until(lambda: client.mirror_status("job-1").phase is MirrorPhase.PAUSED, timeout=20)
        assert not (replica / "big").exists()
        client.resume_mirror("job-1")
        status = finished(client, "job-1")
        assert (status.phase, status.problem) == (MirrorPhase.DONE, None)
        assert (replica / "big").read_bytes() == (tree / "big").read_bytes()


def test_a_target_that_is_not_there_is_reported(tmp_path: Path, tree: Path) -> None:
    with (
        service("source", tmp_path / "state") as running,
        closing(client_of(running, tmp_path / "state")) as client,
    ):
        order = MirrorRequest("job-1", "127.0.0.1", 1, APPLIANCE.certificate, (str(tree),))
        client.start_mirror(order)
        time.sleep(0.5)
        assert client.mirror_status("job-1").phase is MirrorPhase.CONNECTING
        client.stop_mirror("job-1")  # its patience is not waited for
        assert client.mirror_status("job-1").phase is MirrorPhase.STOPPED


def test_whether_it_answers_is_asked_by_a_connection_of_its_own(tmp_path: Path) -> None:
    """Over one that is kept, a machine that went down without a word would be waited for."""
    state = tmp_path / "state"
    with service("source", state) as running, closing(client_of(running, state)) as client:
        assert client.answers()
        assert run(["ss", "-Htn", "state", "established", f"dport = :{running.port}"]).text == ""
        assert running.end() == 0
        assert not client.answers()


def test_the_inventory_is_of_this_machine(tmp_path: Path) -> None:
    with (
        service("source", tmp_path / "state") as running,
        closing(client_of(running, tmp_path / "state")) as client,
    ):
        inventory = client.inventory()
    assert inventory.hostname == socket.gethostname()
    assert inventory.kernel == os.uname().release
    assert inventory.memory_bytes > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_pairing_survives_every_kind_of_end(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "state"
    with service("source", state) as running:
        client = client_of(running, state)
        status = running.end(number)
        assert status == (-9 if number is signal.SIGKILL else 0), running.log.read_text()
        with service("source", state, running.port), closing(client):
            assert client.service().paired


def test_two_services_never_share_a_state(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (
        service("source", state),
        pytest.raises(AssertionError, match="another dtesx service"),
        service("source", state),
    ):
        pass
