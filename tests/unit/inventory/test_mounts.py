from __future__ import annotations

import pytest

from dtesx.inventory.blocks import parse_blocks
from dtesx.inventory.mounts import Mount, block_of, not_mounted, parse_mounts, unprotected, whole_mounts
from dtesx.model.storage import Reason, Unprotected
from tests.unit.inventory.records import findmnt, lsblk, mount, node

BLOCKS = parse_blocks(
    lsblk(
        node("loop4", "loop", "7:4"),
        node("sda", "disk", "8:0", node("sda1", "part", "8:1")),
        node("sdb", "disk", "8:16"),
    )
)


def mounts(*nodes: dict[str, object]) -> tuple[Mount, ...]:
    return parse_mounts(findmnt(*nodes))


def reasons(*nodes: dict[str, object]) -> dict[str, Reason]:
    listed = mounts(*nodes)
    return {u.mount_point: u.reason for u in unprotected(listed, whole_mounts(listed), BLOCKS)}


def test_bind_mounts_own_state_and_foreign_types_are_left_out() -> None:
    found = mounts(
        mount(
            "/",
            "/dev/sda1",
            "8:1",
            children=[
                mount("/srv/bind", "/dev/sda1[/var/x]", "8:1", fsroot="/var/x"),
                mount("/again", "/dev/sda1", "8:1"),
                mount("/var/lib/dtesx/jobs/1/0", "/dev/sdb", "8:16"),
                mount("/var/lib/dtesx-other", "/dev/loop4", "7:4"),
                mount("/tmp", "tmpfs", "0:30", "tmpfs"),
                mount("/snap", "/dev/loop9", "7:9", "squashfs"),
            ],
        )
    )
    assert [m.target for m in whole_mounts(found)] == ["/", "/var/lib/dtesx-other"]


def test_root_wins_over_an_earlier_mount_of_the_same_file_system() -> None:
    found = mounts(mount("/host", "/dev/sda1", "8:1"), mount("/", "/dev/sda1", "8:1"))
    assert [m.target for m in whole_mounts(found)] == ["/"]


def test_what_a_later_mount_hides_does_not_count_and_is_told() -> None:
    found = (
        mount("/", "/dev/sda1", "8:1"),
        mount("/data", "/dev/sdb", "8:16"),
        mount("/data", "/dev/loop4", "7:4"),
    )
    assert [m.device for m in whole_mounts(mounts(*found))] == ["/dev/sda1", "/dev/loop4"]
    assert reasons(*found) == {"/data": Reason.HIDDEN}


def test_btrfs_subvolumes_are_told_from_binds() -> None:
    options = "rw,subvolid=256,subvol=/@"
    root = mount("/", "/dev/sdb[/@]", "0:40", "btrfs", fsroot="/@", options=options)
    home = root | {"target": "/home", "fsroot": "/@home", "options": "rw,subvol=/@home"}
    bind = root | {"target": "/bind", "fsroot": "/@/var"}
    top = root | {"target": "/top", "fsroot": "/", "options": "rw,subvol=/"}
    found = whole_mounts(mounts(root, home, bind, top))
    assert [(m.target, m.subvolume) for m in found] == [("/", "/@"), ("/home", "/@home"), ("/top", "")]
    blocks = [block_of(m, BLOCKS) for m in found]
    assert [block.disk for block in blocks if block] == ["sdb", "sdb", "sdb"]
    assert reasons(root, home, bind, top) == {}


def test_devices_are_found_by_number_whatever_they_are_called() -> None:
    (odd,) = mounts(mount("/", "/dev/root", "7:4"))
    block = block_of(odd, BLOCKS)
    assert block is not None
    assert block.device.name == "loop4"


def test_a_part_of_a_file_system_is_not_protected_without_the_rest() -> None:
    found = mount("/etc/hosts", "/dev/sdb[/containers/1/hosts]", "8:16", fsroot="/containers/1/hosts")
    assert reasons(found) == {"/etc/hosts": Reason.PART}
    assert reasons(found, mount("/", "/dev/sdb", "8:16")) == {}


def test_a_file_system_whose_device_is_not_there() -> None:
    assert reasons(mount("/", "/dev/sda1", "8:1"), mount("/odd", "/dev/sdq", "8:200")) == {
        "/odd": Reason.NO_DEVICE
    }


@pytest.mark.parametrize("where", ["/run/docker/netns/1", "/var/lib/dtesx/jobs/1", "/var/lib/kubelet/pods/1"])
def test_views_of_engines_and_our_own_mounts_are_not_told(where: str) -> None:
    assert reasons(mount(where, "overlay", "0:77", "overlay")) == {}


def test_lines_of_fstab_that_are_not_mounted() -> None:
    lines = mounts(
        mount("/", "UUID=1", "") | {"maj:min": None, "fsroot": None},
        mount("/backup", "LABEL=backup", "", "xfs") | {"maj:min": None},
        mount("none", "UUID=2", "", "swap"),
        mount("/nfs", "filer:/x", "", "nfs4"),
    )
    found = not_mounted(lines, mounts(mount("/", "/dev/sda1", "8:1")))
    assert found == (Unprotected("/backup", "LABEL=backup", "xfs", Reason.NOT_MOUNTED),)


def test_no_mounts_at_all() -> None:
    assert parse_mounts("") == ()
