"""A btrfs with subvolumes within subvolumes, mirrored to a worker and then replicated, as a job does it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole, Subvolume
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.replication import ReplicationOptions
from dtesx.model.request import MirrorRequest
from dtesx.model.target import WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.services import worker
from dtesx.volumes.mounts import mounted_layout
from dtesx.volumes.prepare import prepare_disks
from dtesx.volumes.views import open_view
from dtesx.wire.identity import create, load_or_create
from dtesx.wire.items import TEMPORARY_PREFIX

pytestmark = pytest.mark.integration

WAIT = 60.0
OURS = os.fsdecode(TEMPORARY_PREFIX)


def layout(where: str, uuid: str) -> Layout:
    """The whole file system at ``where`` ("" for /), a subvolume in it, and one more in that."""
    part = Partition(
        *(1, PartitionRole.FILE_SYSTEM, MIB, 140 * MIB, "btrfs", uuid, "", where or "/"),
        subvolumes=(
            Subvolume("", where or "/"),
            Subvolume("a", f"{where}/a", mounted=False),
            Subvolume("a/deep/b", f"{where}/a/deep/b", mounted=False),
        ),
    )
    return Layout(Firmware.BIOS, (DiskLayout(0, 142 * MIB, (part,)),))


@contextmanager
def disk(file: Path, planned: Layout) -> Iterator[Path]:
    file.touch()
    os.truncate(file, planned.disks[0].size_bytes)
    made = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, check=True)
    device = Path(made.stdout.decode().strip())
    try:
        prepare_disks(planned, [device])
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def tree(root: Path) -> dict[str, str]:
    """Every path below a directory, with the content of files."""
    found = sorted(path for path in root.rglob("*") if not path.name.startswith(OURS))
    return {str(path.relative_to(root)): path.read_text() if path.is_file() else "" for path in found}


@contextmanager
def serving(spec: WorkerSpec, directory: Path) -> Iterator[None]:
    stop = threading.Event()
    reporter = worker.Reporter(directory / "status.json", WorkerStatus(WorkerPhase.STARTING, os.getpid()))
    thread = threading.Thread(target=worker._serve, args=(spec, directory, reporter, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT)
    assert not thread.is_alive()


def test_subvolumes_within_subvolumes_are_mirrored_and_replicated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, directory = tmp_path / "source", tmp_path / "job"
    directory.mkdir()
    ours = layout("", "0e7f3b1c-0000-4000-8000-000000000600")
    theirs = layout(str(where), "0e7f3b1c-0000-4000-8000-000000000601")
    with disk(tmp_path / "source.img", ours) as here, disk(tmp_path / "replica.img", theirs) as there:
        monkeypatch.setattr(worker, "find_disk", lambda _uuid: there)
        with mounted_layout(ours, [here], where, nested=True):
            for place in (".", "a", "a/deep", "a/deep/b"):
                (where / place / "file").write_text(f"in {place}")
            _replicated(tmp_path, directory, theirs, where)
            expected = tree(where)
        assert expected["a/deep/b/late"] == "late"
        assert "a/file" not in expected
        with mounted_layout(theirs, [there], tmp_path / "replica", nested=True) as mounted:
            assert tree(mounted[str(where)]) == expected
            assert (mounted[str(where)] / "a/deep/b").stat().st_ino == 256


def _replicated(tmp_path: Path, directory: Path, planned: Layout, where: Path) -> None:
    """Mirror everything, change something in each subvolume, and wait until the replica has it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    us, them = create("source"), load_or_create(tmp_path / "identity", "appliance")
    identity = str(tmp_path / "identity")
    spec = WorkerSpec("job-1", planned, ("6000C29-1",), "127.0.0.1", port, us.certificate, identity)
    roots = tuple(fs.mount_point for fs in planned.file_systems())
    request = MirrorRequest("job-1", "127.0.0.1", port, them.certificate, roots)
    stop = threading.Event()
    with serving(spec, directory), Follower(roots, open_view) as follower:
        how = MirrorOptions(), ReplicationOptions(epoch=0.2), LinkOptions()
        assignment = Assignment(request, us, *how, opener=open_view)
        replication = Replication(assignment, follower, status=lambda _status: None, stop=stop)
        thread = threading.Thread(target=replication.run)
        thread.start()
        try:
            assert replication.request_point(consistent=False).reached.wait(WAIT)
            (where / "a/deep/b/late").write_text("late")
            (where / "a/deep/b/file").rename(where / "a/deep/b/renamed")
            (where / "a/file").unlink()
            (where / "new").mkdir()
            (where / "new/file").write_text("new")
            assert replication.request_point(consistent=False).reached.wait(WAIT)
        finally:
            stop.set()
            thread.join(WAIT)
