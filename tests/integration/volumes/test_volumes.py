"""Real disks in files: partitions, file systems, mounts, and what a killed process leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dtesx.base.errors import CommandFailed, Conflict
from dtesx.base.run import run
from dtesx.inventory.superblocks import LENGTH, read_format
from dtesx.model.inventory import Firmware, Inventory, OperatingSystem
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.replica import DiskSpec, DiskStrategy, ReplicaSpec, StorageSpec
from dtesx.model.specs import WorkloadSpec
from dtesx.model.storage import BlockDevice, DeviceKind, FileSystem, Swap
from dtesx.planning.disks import plan_layout
from dtesx.planning.workload import select
from dtesx.volumes import formats, mounts
from dtesx.volumes.formats import probe
from dtesx.volumes.mounts import mounted_layout, mounts_below, release
from dtesx.volumes.nodes import loops_over, partition_nodes
from dtesx.volumes.prepare import prepare_disks
from dtesx.volumes.views import open_view

pytestmark = pytest.mark.integration

ROOT = Partition(
    2, PartitionRole.FILE_SYSTEM, 2 * MIB, 40 * MIB, "ext4", "0e7f3b1c-0000-4000-8000-000000000001", "r", "/"
)
SRV = Partition(
    1, PartitionRole.FILE_SYSTEM, MIB, 310 * MIB, "xfs", "0e7f3b1c-0000-4000-8000-000000000002", "", "/srv"
)
DEEP = Partition(
    2,
    PartitionRole.FILE_SYSTEM,
    311 * MIB,
    120 * MIB,
    "btrfs",
    "0e7f3b1c-0000-4000-8000-000000000003",
    "deep",
    "/srv/a b/deep",
)
SWAP = Partition(3, PartitionRole.SWAP, 42 * MIB, 4 * MIB, "swap", "0e7f3b1c-0000-4000-8000-000000000004")
LAYOUT = Layout(
    Firmware.BIOS,
    (
        DiskLayout(0, 48 * MIB, (Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB), ROOT, SWAP)),
        DiskLayout(1, 440 * MIB, (SRV, DEEP)),
    ),
)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[list[Path]]:
    """Two virtual disks as a lab gives them: loop devices of sparse files."""
    devices = []
    for disk in LAYOUT.disks:
        file = tmp_path / f"disk{disk.index}.img"
        file.touch()
        os.truncate(file, disk.size_bytes)
        made = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, check=True)
        devices.append(Path(made.stdout.decode().strip()))
    yield devices
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=True)


def prepare_all(disks: list[Path]) -> None:
    prepare_disks(LAYOUT, disks)


def assert_clean(where: Path, disks: list[Path]) -> None:
    assert mounts_below(where) == []
    assert loops_over(disks) == []


def test_everything_is_made_with_the_sources_identity(disks: list[Path]) -> None:
    prepare_all(disks)
    for device, disk in zip(disks, LAYOUT.disks, strict=True):
        with partition_nodes(device, disk.partitions) as nodes:
            for part in disk.partitions:
                content = probe(nodes[part.number])
                assert (content.type, content.uuid, content.label) == (part.fs_type, part.uuid, part.label)
    assert_clean(Path("/nowhere"), disks)


def test_repeating_keeps_what_is_there(disks: list[Path], tmp_path: Path) -> None:
    prepare_all(disks)
    with mounted_layout(LAYOUT, disks, tmp_path / "r", nested=True) as mounted:
        for directory in mounted.values():
            (directory / "kept").write_text("kept")
    prepare_all(disks)
    with mounted_layout(LAYOUT, disks, tmp_path / "r", nested=True) as mounted:
        assert [(d / "kept").read_text() for d in mounted.values()] == ["kept"] * 3


def test_an_unfinished_run_is_completed(disks: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = formats.make_command

    def no_swap(partition: Partition, node: Path) -> list[str]:
        return ["false"] if partition.fs_type == "swap" else real(partition, node)

    monkeypatch.setattr(formats, "make_command", no_swap)
    with pytest.raises(CommandFailed):
        prepare_all(disks)
    assert_clean(Path("/nowhere"), disks)
    monkeypatch.undo()
    prepare_all(disks)
    with partition_nodes(disks[0], [SWAP]) as nodes:
        assert probe(nodes[3]).uuid == SWAP.uuid


def test_a_foreign_table_is_refused_untouched(disks: list[Path]) -> None:
    subprocess.run(["sfdisk", "--quiet", disks[0]], input=b"label: dos\nstart=2048,size=4096\n", check=True)
    before = disks[0].read_bytes()
    with pytest.raises(Conflict, match="dos partition table") as caught:
        prepare_all(disks)
    assert caught.value.hint
    assert disks[0].read_bytes() == before


def test_a_foreign_file_system_is_refused(disks: list[Path]) -> None:
    subprocess.run(["mkfs.ext4", "-q", disks[0]], check=True)
    with pytest.raises(Conflict, match="ext4 file system"):
        prepare_all(disks)


def test_a_disk_that_is_too_small_is_named(tmp_path: Path) -> None:
    small = tmp_path / "small.img"
    small.touch()
    os.truncate(small, 8 * MIB)
    with pytest.raises(CommandFailed, match="sfdisk"):
        prepare_disks(Layout(Firmware.BIOS, LAYOUT.disks[:1]), [small])


def test_a_regular_file_can_be_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.touch()
    os.truncate(file, LAYOUT.disks[0].size_bytes)
    layout = Layout(Firmware.BIOS, LAYOUT.disks[:1])
    prepare_disks(layout, [file])
    with mounted_layout(layout, [file], tmp_path / "r", nested=True) as mounted:
        (mounted["/"] / "x").touch()
    assert_clean(tmp_path / "r", [file])


def test_nested_is_the_tree_and_flat_is_each_file_system(disks: list[Path], tmp_path: Path) -> None:
    prepare_all(disks)
    where = tmp_path / "replica"
    with mounted_layout(LAYOUT, disks, where, nested=True) as mounted:
        assert mounted == {"/": where, "/srv": where / "srv", "/srv/a b/deep": where / "srv/a b/deep"}
        assert mounts_below(where) == [where / "srv/a b/deep", where / "srv", where]
        (where / "srv/a b/deep/file").write_text("x")
        with open_view(str(where)) as view:
            inside = os.open("srv", os.O_RDONLY, dir_fd=view)
            assert os.listdir(inside) == []
            os.close(inside)
    assert_clean(where, disks)
    with mounted_layout(LAYOUT, disks, where, nested=False) as mounted:
        assert mounted == {"/": where / "0", "/srv": where / "1", "/srv/a b/deep": where / "2"}
        assert (where / "2/file").read_text() == "x"
        assert (where / "0/srv").is_dir()
    assert_clean(where, disks)


def test_a_failing_third_mount_unwinds_the_first_two(
    disks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_all(disks)
    where = tmp_path / "replica"

    def third_fails(argv: list[str], **rest: object) -> object:
        if argv[0] == "mount" and "btrfs" in argv:
            assert len(mounts_below(where)) == 2
            raise CommandFailed("mount failed", hint="test")
        return run(argv, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mounts, "run", third_fails)
    with (
        pytest.raises(CommandFailed, match="mount failed"),
        mounted_layout(LAYOUT, disks, where, nested=True),
    ):
        pytest.fail("must not be entered")
    monkeypatch.undo()
    assert_clean(where, disks)


def test_an_error_inside_unwinds_too(disks: list[Path], tmp_path: Path) -> None:
    prepare_all(disks)
    with (
        pytest.raises(RuntimeError, match="inside"),
        mounted_layout(LAYOUT, disks, tmp_path / "r", nested=True),
    ):
        raise RuntimeError("inside")
    assert_clean(tmp_path / "r", disks)


HOLDER = """
import sys, time
from pathlib import Path
import msgspec
from dtesx.model.layout import Layout
from dtesx.volumes.mounts import mounted_layout
layout = msgspec.json.decode(sys.argv[1].encode(), type=Layout)
with mounted_layout(layout, [Path(p) for p in sys.argv[3:]], Path(sys.argv[2]), nested=True):
    print("mounted", flush=True)
    time.sleep(600)
"""


def test_leftovers_of_a_killed_process_are_cleared(disks: list[Path], tmp_path: Path) -> None:

    prepare_all(disks)
    where = tmp_path / "replica"
    argv = [sys.executable, "-c", HOLDER, msgspec.json.encode(LAYOUT).decode(), str(where)]
    for again in (True, False):
        holder = subprocess.Popen([*argv, *map(str, disks)], stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mounted\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
        assert len(mounts_below(where)) == 3
        if again:
            with mounted_layout(LAYOUT, disks, where, nested=False) as mounted:
                assert len(mounted) == 3
        else:
            release(where, disks)
        assert_clean(where, disks)
    release(where, disks)


def test_a_mount_in_use_is_a_conflict_and_nothing_is_lost(
    disks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_all(disks)
    monkeypatch.setattr(mounts, "_BUSY_SECONDS", 0.2)
    where = tmp_path / "r"
    file = None
    try:
        with (
            pytest.raises(Conflict, match="cannot be unmounted") as caught,
            mounted_layout(LAYOUT, disks, where, nested=True),
        ):
            file = (where / "held").open("w")
        assert "fuser" in caught.value.hint
    finally:
        assert file is not None
        file.close()
        release(where, disks)
    assert_clean(where, disks)


def test_a_link_on_the_way_to_a_mount_point_is_not_followed(disks: list[Path], tmp_path: Path) -> None:
    prepare_all(disks)
    outside = tmp_path / "outside"
    outside.mkdir()
    first = Layout(Firmware.BIOS, LAYOUT.disks[:1])
    with mounted_layout(first, disks[:1], tmp_path / "r", nested=True) as mounted:
        (mounted["/"] / "srv").symlink_to(outside)
    with (
        pytest.raises(Conflict, match="other than a directory"),
        mounted_layout(LAYOUT, disks, tmp_path / "r", nested=True),
    ):
        pytest.fail("must not be entered")
    assert_clean(tmp_path / "r", disks)


def test_a_plan_with_a_disk_for_each_volume_is_carried_out(tmp_path: Path) -> None:
    def system(mount: str, kind: str, number: int, size: int) -> FileSystem:
        uuid = f"0e7f3b1c-0000-4000-8000-0000000001{number:02}"
        return FileSystem(mount, f"/dev/sda{number}", "sda", kind, uuid, "", size * MIB, MIB)

    source = Inventory(
        hostname="alpha",
        os=OperatingSystem("debian", "12", "Debian"),
        kernel="",
        architecture="x86_64",
        firmware=Firmware.BIOS,
        cpus=1,
        memory_bytes=MIB,
        devices=(BlockDevice("sda", "/dev/sda", DeviceKind.DISK, 512 * MIB),),
        file_systems=(
            system("/boot", "ext4", 1, 24),
            system("/", "ext4", 2, 40),
            system("/srv", "xfs", 3, 310),
        ),
        swaps=(Swap("/dev/sda4", SWAP.uuid, 4 * MIB, disk="sda"),),
        nics=(),
    )
    storage = StorageSpec(DiskStrategy.PER_VOLUME, partitions={"/": DiskSpec(size="80MiB")})
    layout = plan_layout(source, select(source, WorkloadSpec()), ReplicaSpec("ds", storage=storage))
    files = [tmp_path / f"{disk.index}.img" for disk in layout.disks]
    for file, disk in zip(files, layout.disks, strict=True):
        file.touch()
        os.truncate(file, disk.size_bytes)
    prepare_disks(layout, files)
    with mounted_layout(layout, files, tmp_path / "r", nested=True) as mounted:
        sizes = {mount: os.statvfs(directory) for mount, directory in mounted.items()}
        assert list(mounted) == ["/", "/boot", "/srv"]
        assert sizes["/"].f_blocks * sizes["/"].f_frsize > 60 * MIB
    with partition_nodes(files[0], layout.disks[0].partitions) as nodes:
        assert probe(nodes[2]).uuid == SWAP.uuid


def test_ext_has_as_many_inodes_as_on_the_source_and_what_its_mount_options_need(tmp_path: Path) -> None:
    source, replica = tmp_path / "source.img", tmp_path / "replica.img"
    for file in (source, replica):
        file.touch()
        os.truncate(file, 40 * MIB)
    run(["mkfs.ext4", "-q", "-i", "2048", "-O", "quota,project", str(source)])
    was = read_format("ext4", source.read_bytes()[:LENGTH])
    formats.make(replace(ROOT, format=was), replica)
    made = read_format("ext4", replica.read_bytes()[:LENGTH])
    assert was.bytes_per_inode == made.bytes_per_inode == 2048
    assert {"quota", "project"} <= set(made.features)
    assert not {"metadata_csum_seed", "orphan_file"}.intersection(made.features)
