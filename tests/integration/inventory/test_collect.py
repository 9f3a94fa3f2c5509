"""The inventory of this very machine, and of a mount namespace with a disk in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtesx.inventory.collect import collect
from dtesx.model.inventory import Firmware

pytestmark = pytest.mark.integration

UUID = "0e7f3b1c-0000-4000-8000-0000000000a1"
LOOK = """
set -eu
ip link set lo up
ip link add eth0 type veth peer name other
ip link add br0 type bridge
ip link add eth1 type veth peer name far
ip link set eth1 master br0
ip address add 10.99.7.2/24 dev br0
ip link add docker0 type bridge
ip address add 10.99.0.2/24 dev eth0
ip link set eth0 up
ip route add default via 10.99.0.1
mount "$1" "$2"
mkdir -p "$2/here"
mkdir -p "$3"
mount --bind "$2/here" "$3"
exec "$4" -c 'import msgspec
from dtesx.inventory.collect import collect
print(msgspec.json.encode(collect()).decode())'
"""


def test_this_machine() -> None:
    found = collect()
    assert found.kernel == os.uname().release
    assert found.cpus >= 1
    assert found.memory_bytes > 1 << 28
    assert found.hostname
    assert found.firmware is (Firmware.UEFI if Path("/sys/firmware/efi").exists() else Firmware.BIOS)
    assert {f.disk for f in found.file_systems} <= {d.name for d in found.disks}
    assert all(found.disks_below(f.device) for f in found.file_systems)


def test_a_namespace_with_a_disk_in_a_file(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    os.truncate(image, 64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-U", UUID, "-L", "data", image], check=True)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, check=True)
    device = made.stdout.decode().strip()
    where = tmp_path / "mount point"
    where.mkdir()
    try:
        argv = ["unshare", "--mount", "--net", "sh", "-c", LOOK, "sh", device]
        argv += [str(where), str(tmp_path / "bind"), sys.executable]
        done = subprocess.run(argv, capture_output=True, check=False)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    (fs,) = [f for f in found["file_systems"] if f["device"] == device]
    assert fs["mount_point"] == str(where)
    assert (fs["type"], fs["uuid"], fs["label"]) == ("ext4", UUID, "data")
    assert fs["size_bytes"] == 64 << 20
    assert 0 < fs["used_bytes"] < fs["size_bytes"]
    assert fs["disk"] in [d["name"] for d in found["devices"]]
    assert [(n["name"], n["addresses"], n["gateways"]) for n in found["nics"]] == [
        ("eth0", ["10.99.0.2/24"], ["10.99.0.1"]),
        ("eth1", [], []),
    ]
    assert [(x["name"], x["kind"], x["members"], x["addresses"]) for x in found["network"]["links"]] == [
        ("br0", "bridge", ["eth1"], ["10.99.7.2/24"])
    ]
    assert fs["format"]["version"] == "1"
    assert "extent" in fs["format"]["features"]


def test_subvolumes_of_a_real_btrfs(tmp_path: Path) -> None:
    image, where = tmp_path / "disk.img", tmp_path / "where"
    image.touch()
    os.truncate(image, 128 << 20)
    where.mkdir()
    script = """set -eu
        mkfs.btrfs -q "$1" >&2
        mount -o loop "$1" "$2"
        btrfs subvolume create "$2/@" >&2
        btrfs subvolume create "$2/@/a name" >&2
        btrfs subvolume snapshot -r "$2/@" "$2/@/snap" >&2
        btrfs subvolume set-default "$2/@/a name" >&2
        device=$(findmnt -n -o SOURCE "$2")
        mkdir "$2.sub"
        mount -o subvol=@ "$device" "$2.sub"
        "$3" -c 'import msgspec; from dtesx.inventory.collect import collect
print(msgspec.json.encode(collect()).decode())'
        umount "$2.sub" "$2"
    """
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(image), str(where), sys.executable]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = [f for f in json.loads(done.stdout)["file_systems"] if f["mount_point"].startswith(str(where))]
    assert [(f["mount_point"], f["subvolume"]) for f in found] == [(str(where), ""), (f"{where}.sub", "/@")]
    for fs in found:
        assert sorted((s["path"], s["snapshot"], s["default"]) for s in fs["subvolumes"]) == [
            ("@", False, False),
            ("@/a name", False, True),
            ("@/snap", True, False),
        ]
        assert "free-space-tree" in fs["format"]["features"]


def test_missing_tools_hide_nothing_else() -> None:
    script = """mount -t tmpfs none /usr/sbin && exec "$1" -c 'import msgspec
from dtesx.inventory.collect import collect
print(msgspec.json.encode(collect()).decode())'"""
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert "/" in [f["mount_point"] for f in found["file_systems"]]
    assert any("sfdisk is not installed here" in sentence for sentence in found["unread"])
    assert found["nics"]
