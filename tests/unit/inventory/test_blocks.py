from __future__ import annotations

import json
from typing import Any

from dtesx.inventory.blocks import Mount, block_of, parse_blocks, parse_mounts, whole_mounts
from dtesx.inventory.collect import file_systems_of, swaps_of


def node(name: str, kind: str, number: str, *children: dict[str, Any], size: int = 1 << 30) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "kname": name, "path": f"/dev/{name}", "type": kind, "size": size}
    found |= {"maj:min": number, "fstype": None, "uuid": f"u-{name}", "label": None}
    return found | ({"children": list(children)} if children else {})


LVM = node("dm-0", "lvm", "253:0") | {"name": "vg-root", "path": "/dev/mapper/vg-root"}
LSBLK = json.dumps(
    {
        "blockdevices": [
            node("loop4", "loop", "7:4", size=5000),
            node("sda", "disk", "8:0", node("sda1", "part", "8:1"), node("sda2", "part", "8:2", LVM)),
            node("sdb", "disk", "8:16"),
            node("sr0", "rom", "11:0"),
        ]
    }
)
BLOCKS = parse_blocks(LSBLK)


def mount(target: str, source: str, number: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "target": target,
        "source": source,
        "fstype": "ext4",
        "options": "rw,relatime",
        "uuid": None,
    }
    found |= {"label": None, "size": 900, "used": 500, "fsroot": "/", "maj:min": number}
    return found | more


def mounts(*nodes: dict[str, Any]) -> tuple[Mount, ...]:
    return parse_mounts(json.dumps({"filesystems": list(nodes)}))


def test_the_disk_is_the_bottom_of_the_stack() -> None:
    by_name = {b.kname: b for b in BLOCKS}
    assert (by_name["dm-0"].disk, by_name["dm-0"].stack) == ("sda", ("disk", "part", "lvm"))
    assert by_name["dm-0"].path == "/dev/mapper/vg-root"
    assert (by_name["loop4"].disk, by_name["loop4"].stack) == ("loop4", ("loop",))
    assert by_name["sda1"].label == ""


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
                mount("/tmp", "tmpfs", "0:30", fstype="tmpfs"),
                mount("/snap", "/dev/loop9", "7:9", fstype="squashfs"),
            ],
        )
    )
    assert [m.target for m in whole_mounts(found)] == ["/", "/var/lib/dtesx-other"]


def test_root_wins_over_an_earlier_mount_of_the_same_file_system() -> None:
    found = mounts(mount("/host", "/dev/sda1", "8:1"), mount("/", "/dev/sda1", "8:1"))
    assert [m.target for m in whole_mounts(found)] == ["/"]


def test_what_a_later_mount_hides_does_not_count() -> None:
    found = mounts(mount("/", "/dev/sda1", "8:1"), mount("/data", "/dev/sdb", "8:16"))
    over = mounts(mount("/data", "/dev/loop4", "7:4"))
    assert [m.device for m in whole_mounts((*found, *over))] == ["/dev/sda1", "/dev/loop4"]


def test_btrfs_subvolumes_are_told_from_binds() -> None:
    options = "rw,subvolid=256,subvol=/@"
    root = mount("/", "/dev/sdb[/@]", "0:40", fstype="btrfs", fsroot="/@", options=options)
    home = root | {"target": "/home", "fsroot": "/@home", "options": "rw,subvol=/@home"}
    bind = root | {"target": "/bind", "fsroot": "/@/var"}
    top = root | {"target": "/top", "fsroot": "/", "options": "rw,subvol=/"}
    found = file_systems_of(whole_mounts(mounts(root, home, bind, top)), BLOCKS)
    assert [(f.mount_point, f.subvolume, f.disk) for f in found] == [
        ("/", "/@", "sdb"),
        ("/home", "/@home", "sdb"),
        ("/top", "", "sdb"),
    ]


def test_devices_are_found_by_number_whatever_they_are_called() -> None:
    (odd,) = mounts(mount("/", "/dev/root", "7:4"))
    block = block_of(odd, BLOCKS)
    assert block is not None
    assert block.kname == "loop4"
    (fs,) = file_systems_of([odd], BLOCKS)
    assert (fs.device, fs.disk, fs.uuid) == ("/dev/loop4", "loop4", "u-loop4")
    assert (fs.size_bytes, fs.used_bytes) == (5000, 500)


def test_a_mount_without_block_device_is_left_out() -> None:
    assert file_systems_of(mounts(mount("/", "host:/x", "0:99")), BLOCKS) == ()


def test_no_mounts_at_all() -> None:
    assert parse_mounts("") == ()


def test_swap_partitions_count_on_our_disks_only() -> None:
    active = ["/dev/sda1", "/swapfile", "/dev/sdb", "/dev/dm-0"]
    found = swaps_of(active, BLOCKS, {"sda"})
    assert [(s.device, s.uuid, s.disk) for s in found] == [
        ("/dev/sda1", "u-sda1", "sda"),
        ("/dev/mapper/vg-root", "u-dm-0", "sda"),
    ]
