"""Volume groups on real disks: LVM's own metadata, and volumes that the kernel shows by loop devices.

This much can be tested without device-mapper; the tests in tests/vm have it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict
from dtesx.model.inventory import Firmware
from dtesx.model.layout import (
    MIB,
    DiskLayout,
    Layout,
    LogicalVolume,
    Partition,
    PartitionRole,
    VolumeGroup,
)
from dtesx.volumes import lvm, mapping
from dtesx.volumes.formats import probe
from dtesx.volumes.mapping import volume_nodes
from dtesx.volumes.mounts import mounted_layout, mounts_below, release
from dtesx.volumes.nodes import loops_over, open_partitions
from dtesx.volumes.prepare import prepare_disks

pytestmark = pytest.mark.integration

EXTENT = 4 * MIB
UUIDS = [f"0e7f3b1c-0000-4000-8000-00000000020{number}" for number in range(9)]
BOOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, 16 * MIB, "ext4", UUIDS[0], "boot", "/boot")
ROOT = LogicalVolume("root", PartitionRole.FILE_SYSTEM, 24 * MIB, "ext4", UUIDS[1], "", "/")
VAR = LogicalVolume("var-log", PartitionRole.FILE_SYSTEM, 12 * MIB, "ext2", UUIDS[2], "log", "/var/log")
SWAP = LogicalVolume("swap", PartitionRole.SWAP, 4 * MIB, "swap", UUIDS[3])
GROUP = VolumeGroup("rhel", EXTENT, 40 * MIB, (ROOT, SWAP, VAR))


def layout(*member_bytes: int, group: VolumeGroup = GROUP) -> Layout:
    """The group on so many disks; /boot beside it on the first."""
    disks = []
    for index, size in enumerate(member_bytes):
        before = (Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB), BOOT) if index == 0 else ()
        start = 18 * MIB if before else MIB
        number = len(before) + 1
        member = Partition(number, PartitionRole.PHYSICAL_VOLUME, start, size + MIB, group=group.name)
        disks.append(DiskLayout(index, start + size + 2 * MIB, (*before, member)))
    return Layout(Firmware.BIOS, tuple(disks), (group,))


ONE = layout(40 * MIB)
TWO = layout(20 * MIB, 20 * MIB)


def blank(planned: Layout, where: Path) -> list[Path]:
    files = [where / f"disk{disk.index}.img" for disk in planned.disks]
    for file, disk in zip(files, planned.disks, strict=True):
        file.unlink(missing_ok=True)
        file.touch()
        os.truncate(file, disk.size_bytes)
    return files


@contextmanager
def members(planned: Layout, disks: Sequence[Path]) -> Iterator[list[Path]]:
    with open_partitions(planned, disks) as parts:
        yield [node for part, node in parts if part.group]


def as_lvm_says(planned: Layout, disks: Sequence[Path]) -> dict[str, int]:
    """The volumes with their sizes, asked without any of our code."""
    with members(planned, disks) as nodes:
        told = subprocess.run(
            [
                *("lvm", "lvs", "--reportformat", "json", "--units", "b", "--nosuffix"),
                *("--options", "vg_name,lv_name,lv_size", "--devices", ",".join(map(str, nodes))),
                *("--config", "global { activation=0 }"),
            ],
            capture_output=True,
            check=True,
        )
    rows = json.loads(told.stdout)["report"][0]["lv"]
    return {f"{row['vg_name']}/{row['lv_name']}": int(row["lv_size"]) for row in rows}


def assert_whole(planned: Layout, disks: Sequence[Path]) -> None:
    assert as_lvm_says(planned, disks) == {
        f"rhel/{volume.name}": volume.size_bytes for volume in planned.groups[0].volumes
    }
    assert loops_over(disks) == []


def test_a_group_is_made_mounted_and_taken_down(tmp_path: Path) -> None:
    disks = blank(ONE, tmp_path)
    prepare_disks(ONE, disks)
    assert_whole(ONE, disks)
    with mounted_layout(ONE, disks, tmp_path / "r", nested=True) as mounted:
        assert list(mounted) == ["/", "/boot", "/var/log"]
        assert mounts_below(tmp_path / "r") == [mounted["/var/log"], mounted["/boot"], mounted["/"]]
        for directory in mounted.values():
            (directory / "kept").write_text("kept")
    assert_whole(ONE, disks)
    prepare_disks(ONE, disks)
    with mounted_layout(ONE, disks, tmp_path / "r", nested=False) as mounted:
        assert [(directory / "kept").read_text() for directory in mounted.values()] == ["kept"] * 3
    assert_whole(ONE, disks)
    assert mounts_below(tmp_path / "r") == []


def test_volumes_have_the_sources_identity(tmp_path: Path) -> None:
    disks = blank(ONE, tmp_path)
    prepare_disks(ONE, disks)
    with members(ONE, disks) as nodes, volume_nodes(GROUP, nodes) as volumes:
        for volume in GROUP.volumes:
            found = probe(volumes[volume.name])
            assert (found.type, found.uuid, found.label) == (volume.fs_type, volume.uuid, volume.label)


def test_groups_of_one_name_are_held_at_once(tmp_path: Path) -> None:
    """Two servers that were installed alike."""
    other = VolumeGroup(
        "rhel", EXTENT, 24 * MIB, (LogicalVolume("root", ROOT.role, 24 * MIB, "ext4", UUIDS[4], "", "/"),)
    )
    second = layout(24 * MIB, group=other)
    held = []
    for planned, name in ((ONE, "a"), (second, "b")):
        (tmp_path / name).mkdir()
        held.append((planned, blank(planned, tmp_path / name), tmp_path / name / "r"))
        prepare_disks(planned, held[-1][1])
    with (
        mounted_layout(*held[0], nested=True) as first,
        mounted_layout(*held[1], nested=True) as another,
    ):
        (first["/"] / "mine").touch()
        assert not (another["/"] / "mine").exists()


def test_a_group_over_two_disks_uses_all_its_extents(tmp_path: Path) -> None:
    disks = blank(TWO, tmp_path)
    with members_made(TWO, disks) as nodes:
        found = lvm.find(GROUP, nodes)
        assert {name: volume.size_bytes for name, volume in found.items()} == {
            volume.name: volume.size_bytes for volume in GROUP.volumes
        }
        (joined,) = [volume for volume in found.values() if len(volume.segments) > 1]
        lines = [line.split() for line in mapping.table(joined).splitlines()]
        assert [int(line[0]) for line in lines] == [0, int(lines[0][1])]
        assert {line[3] for line in lines} == set(map(str, nodes))


@contextmanager
def members_made(planned: Layout, disks: Sequence[Path]) -> Iterator[list[Path]]:
    from dtesx.volumes import prepare

    for device, disk in zip(disks, planned.disks, strict=True):
        prepare._partition(device, planned, disk)
    with members(planned, disks) as nodes:
        lvm.make(planned.groups[0], nodes)
        yield nodes


@pytest.mark.skipif(Path("/sys/class/misc/device-mapper").exists(), reason="this kernel can join the pieces")
def test_without_device_mapper_a_volume_in_pieces_is_refused(tmp_path: Path) -> None:
    disks = blank(TWO, tmp_path)
    with pytest.raises(Conflict, match="in 2 pieces, and this kernel has no device-mapper"):
        prepare_disks(TWO, disks)
    assert loops_over(disks) == []


@pytest.mark.parametrize("lost", [0, 1])
def test_a_group_that_was_torn_while_it_was_made_is_made_anew(tmp_path: Path, lost: int) -> None:
    """LVM writes to one disk after the other."""
    disks = blank(TWO, tmp_path)
    empty = VolumeGroup(GROUP.name, EXTENT, GROUP.size_bytes, ())
    with members_made(layout(20 * MIB, 20 * MIB, group=empty), disks) as nodes:
        with nodes[lost].open("r+b") as member:
            member.write(bytes(MIB))
        lvm.make(GROUP, nodes)
        assert set(lvm.find(GROUP, nodes)) == {"root", "swap", "var-log"}


def test_a_volume_whose_making_reached_one_disk_only_is_whole_again(tmp_path: Path) -> None:
    disks = blank(TWO, tmp_path)
    fewer = VolumeGroup(GROUP.name, EXTENT, GROUP.size_bytes, (ROOT,))
    with members_made(layout(20 * MIB, 20 * MIB, group=fewer), disks) as nodes:
        before = nodes[1].open("rb").read(MIB)
        lvm.make(GROUP, nodes)
        with nodes[1].open("r+b") as member:
            member.write(before)
        lvm.make(GROUP, nodes)
        assert set(lvm.find(GROUP, nodes)) == {"root", "swap", "var-log"}


def test_a_group_with_volumes_is_never_removed(tmp_path: Path) -> None:
    disks = blank(TWO, tmp_path)
    with members_made(TWO, disks) as nodes:
        for planned, nodes_given in (
            (VolumeGroup("other", EXTENT, GROUP.size_bytes, GROUP.volumes), nodes),
            (GROUP, nodes[:1]),
        ):
            with pytest.raises(Conflict, match="carry a volume group that is not"):
                lvm.make(planned, nodes_given)
        assert set(lvm.find(GROUP, nodes)) == {"root", "swap", "var-log"}


def test_a_volume_of_another_size_is_refused(tmp_path: Path) -> None:
    disks = blank(ONE, tmp_path)
    prepare_disks(ONE, disks)
    smaller = LogicalVolume("root", ROOT.role, 20 * MIB, "ext4", ROOT.uuid, "", "/")
    changed = VolumeGroup("rhel", EXTENT, 40 * MIB, (smaller, SWAP, VAR))
    with members(ONE, disks) as nodes, pytest.raises(Conflict, match="with another size"):
        lvm.make(changed, nodes)


def test_a_missing_volume_is_named(tmp_path: Path) -> None:
    disks = blank(ONE, tmp_path)
    fewer = VolumeGroup("rhel", EXTENT, 40 * MIB, (ROOT,))
    with members_made(layout(40 * MIB, group=fewer), disks) as nodes, pytest.raises(Conflict) as caught:
        lvm.find(GROUP, nodes)
    assert "lack swap, var-log of the volume group rhel" in caught.value.message


def test_a_foreign_file_system_in_a_members_place_stays(tmp_path: Path) -> None:
    disks = blank(ONE, tmp_path)
    with members_made(layout(40 * MIB, group=VolumeGroup("rhel", EXTENT, 40 * MIB, ())), disks) as nodes:
        subprocess.run(["wipefs", "-qa", nodes[0]], check=True)
        subprocess.run(["mkfs.ext4", "-q", nodes[0]], check=True)
        with pytest.raises(Conflict, match="ext4 file system that is not this job's"):
            lvm.make(GROUP, nodes)
        assert probe(nodes[0]).type == "ext4"


_READING = ("blkid", "lvm pvs", "losetup --list", "dmsetup version", "sfdisk --json")


def killed_after(step: int, action: Callable[[], None]) -> bool:
    """Run an action in a process that kills itself after so many changes; tell whether it did."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    try:
        real, done = subprocess.run, 0

        def counted(argv: list[str], **rest: object) -> object:
            nonlocal done
            ended = real(argv, **rest)  # type: ignore[call-overload]
            if not " ".join(argv).startswith(_READING):
                done += 1
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return ended

        subprocess.run = counted  # type: ignore[assignment]
        action()
    finally:
        os._exit(0)


def test_a_run_that_was_killed_after_any_change_is_completed_by_the_next(tmp_path: Path) -> None:
    """Whole or half made, with loop devices left over: the next run makes what is missing."""
    step, killed = 0, True
    while killed:
        step += 1
        disks = blank(ONE, tmp_path)
        killed = killed_after(step, partial(prepare_disks, ONE, disks))
        prepare_disks(ONE, disks)
        assert_whole(ONE, disks)
    assert step > 12, "it was not killed where it should have been"


def test_a_worker_that_was_killed_at_any_change_leaves_nothing_behind(tmp_path: Path) -> None:
    disks, where = blank(ONE, tmp_path), tmp_path / "r"
    prepare_disks(ONE, disks)

    def hold() -> None:
        with mounted_layout(ONE, disks, where, nested=True) as mounted:
            (mounted["/"] / "there").touch()

    step, killed = 0, True
    while killed:
        step += 1
        killed = killed_after(step, hold)
        release(where, disks)
        assert (mounts_below(where), loops_over(disks)) == ([], [])
    assert step > 10
    hold()
    assert_whole(ONE, disks)
