from pathlib import Path

import pytest

from dtesx.lab.leftovers import lab_identity, mounts_below, runtime_directory
from dtesx.lab.network import interface_name
from dtesx.lab.preflight import packages_for


@pytest.mark.parametrize(
    "machine", ["alpha-replica-of-the-third-floor", "žluťoučký", "a/b", "with space", "x" * 80]
)
def test_interface_names_fit_the_kernel(machine: str) -> None:
    name = interface_name("t", machine)
    assert len(name) <= 15
    assert name.isascii()
    assert "/" not in name
    assert " " not in name
    assert name != interface_name("t", machine + "2")


def test_short_names_stay_readable() -> None:
    assert interface_name("v", "source") == "v-source"


def test_each_directory_has_its_own_lab_and_always_the_same(tmp_path: Path) -> None:
    assert lab_identity(tmp_path / "a") == lab_identity(tmp_path / "b" / ".." / "a")
    assert lab_identity(tmp_path / "a") != lab_identity(tmp_path / "b")


def test_sockets_have_short_paths_whatever_the_labs_directory() -> None:
    longest = runtime_directory(lab_identity(Path("/x" * 200))) / interface_name("m", "x" * 80)
    assert len(str(longest)) < 107


def test_mounts_are_undone_from_the_latest_and_only_below_the_directory() -> None:
    mountinfo = """\
22 1 8:1 / / rw - ext4 /dev/sda rw
89 22 8:1 /lab /lab rw - ext4 /dev/sda rw
90 89 7:0 / /lab/source/root rw - ext4 /dev/loop0 rw
91 22 7:1 / /lab/data\\040store rw - xfs /dev/loop1 rw
92 22 7:2 / /lab2/x rw - xfs /dev/loop2 rw
"""
    assert mounts_below(Path("/lab"), mountinfo) == ("/lab/data store", "/lab/source/root", "/lab")


def test_each_missing_package_is_named_once() -> None:
    assert packages_for(["mkfs.xfs", "ip", "mkfs.xfs"]) == ("iproute2", "xfsprogs")
