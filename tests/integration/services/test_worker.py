"""A job's worker with a real disk, and a source that replicates to it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from dtesx.base.retry import wait_until
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import ReplicationOptions
from dtesx.model.request import MirrorRequest
from dtesx.model.target import WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.model.tasks import Task
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.one_shot import open_tree
from dtesx.services import worker
from dtesx.volumes.prepare import prepare_disks
from dtesx.wire.identity import create, load_or_create

pytestmark = pytest.mark.integration

WAIT = 60.0
ROOT = Partition(
    2, PartitionRole.FILE_SYSTEM, 2 * MIB, 40 * MIB, "ext4", "0e7f3b1c-0000-4000-8000-00000000a001", "", "/"
)
DISK = DiskLayout(0, 48 * MIB, (Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB), ROOT))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    image = tmp_path / "disk.img"
    image.touch()
    os.truncate(image, DISK.size_bytes)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, check=True)
    device = Path(made.stdout.decode().strip())
    try:
        prepare_disks(Layout(Firmware.BIOS, (DISK,)), [device])
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def running(spec: WorkerSpec, directory: Path) -> Iterator[worker.Reporter]:
    """The worker in a thread of its own."""
    stop = threading.Event()
    reporter = worker.Reporter(directory / "status.json", WorkerStatus(WorkerPhase.STARTING, os.getpid()))
    thread = threading.Thread(target=worker._serve, args=(spec, directory, reporter, stop))
    thread.start()
    try:
        assert wait_until(lambda: reporter.status.phase is WorkerPhase.LISTENING, timeout=WAIT)
        yield reporter
    finally:
        stop.set()
        thread.join(WAIT)
        assert not thread.is_alive()


def test_a_task_of_the_appliance_sees_the_replica(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "find_disk", lambda _uuid: disk)
    source, directory, stop = tmp_path / "source", tmp_path / "job", threading.Event()
    for made in (source, directory):
        made.mkdir()
    (source / "hello").write_text("as it is")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    us, them = create("source"), load_or_create(tmp_path / "identity", "appliance")
    spec = WorkerSpec(
        "job-1",
        Layout(Firmware.BIOS, (DISK,)),
        ("6000C29-1",),
        "127.0.0.1",
        port,
        us.certificate,
        str(tmp_path / "identity"),
        tasks={"look": Task(("sh", "-c", "cat $DTESX_REPLICA/0/hello"))},
    )

    request = MirrorRequest("job-1", "127.0.0.1", port, them.certificate, ("/",))
    how = MirrorOptions(), ReplicationOptions(epoch=0.2), LinkOptions()

    def opener(_root: str) -> AbstractContextManager[int]:
        return open_tree(str(source))

    with running(spec, directory), Follower(("/",), opener) as follower:
        assignment = Assignment(request, us, *how, opener=opener)
        replication = Replication(assignment, follower, status=lambda _status: None, stop=stop)
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            ticket = replication.request_point(consistent=False, task="look")
            assert ticket.reached.wait(WAIT)
        finally:
            stop.set()
            thread.join(WAIT)
    assert ticket.result is not None
    assert (ticket.result.well, ticket.result.output) == (True, "as it is")
