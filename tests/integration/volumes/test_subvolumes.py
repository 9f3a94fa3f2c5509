"""btrfs subvolumes on real disks: made, mounted, the default one set."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole, Subvolume
from dtesx.volumes.mounts import mounted_layout, mounts_below
from dtesx.volumes.nodes import loops_over
from dtesx.volumes.prepare import prepare_disks

pytestmark = pytest.mark.integration

SUSE = (
    Subvolume("@", mounted=False),
    Subvolume("@/.snapshots", "/.snapshots"),
    Subvolume("@/.snapshots/1/snapshot", "/", default=True),
    Subvolume("@/var", "/var"),
    Subvolume("@/var/lib/machines", "/var/lib/machines", mounted=False),
)


def layout(*subvolumes: Subvolume, mount_point: str = "/") -> Layout:
    uuid = "0e7f3b1c-0000-4000-8000-000000000301"
    part = Partition(
        1,
        PartitionRole.FILE_SYSTEM,
        MIB,
        120 * MIB,
        "btrfs",
        uuid,
        "",
        mount_point,
        subvolumes=subvolumes,
    )
    return Layout(Firmware.BIOS, (DiskLayout(0, 122 * MIB, (part,)),))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "disk.img"
    file.touch()
    os.truncate(file, 122 * MIB)
    return file


def test_subvolumes_are_made_and_mounted_as_on_the_source(disk: Path, tmp_path: Path) -> None:
    planned, where = layout(*SUSE), tmp_path / "r"
    prepare_disks(planned, [disk])
    with mounted_layout(planned, [disk], where, nested=False) as mounted:
        assert list(mounted) == ["/", "/.snapshots", "/var", "/var/lib/machines"]
        for place, directory in mounted.items():
            assert directory.stat().st_ino == 256
            (directory / "here").write_text(place)
        (mounted["/"] / ".snapshots").mkdir()
        (mounted["/"] / "var").mkdir()
    prepare_disks(planned, [disk])
    with mounted_layout(planned, [disk], where, nested=True) as mounted:
        assert mounts_below(where) == [where / "var", where / ".snapshots", where]
        for place, directory in mounted.items():
            assert (directory / "here").read_text() == place
        device = subprocess.run(
            ["findmnt", "-no", "SOURCE", where / "var"], capture_output=True, check=True, text=True
        ).stdout
        assert "[/@/var]" in device
        told = subprocess.run(
            ["btrfs", "subvolume", "get-default", where], capture_output=True, check=True, text=True
        ).stdout
        assert told.endswith(" path @/.snapshots/1/snapshot\n")
    assert (mounts_below(where), loops_over([disk])) == ([], [])


def test_a_whole_file_system_with_one_inside(disk: Path, tmp_path: Path) -> None:
    planned = layout(Subvolume("", "/srv"), Subvolume("a b", "/srv/a b", mounted=False), mount_point="/srv")
    prepare_disks(planned, [disk])
    with mounted_layout(planned, [disk], tmp_path / "r", nested=False) as mounted:
        (mounted["/srv/a b"] / "x").touch()
        assert os.listdir(mounted["/srv"] / "a b") == ["x"]


def test_a_directory_in_a_subvolumes_place_is_refused(disk: Path, tmp_path: Path) -> None:
    prepare_disks(layout(), [disk])
    with mounted_layout(layout(), [disk], tmp_path / "r", nested=True) as mounted:
        (mounted["/"] / "@").mkdir()
    with pytest.raises(Conflict, match="a directory at @, where the source has a subvolume"):
        prepare_disks(layout(Subvolume("@", "/")), [disk])
    assert loops_over([disk]) == []
