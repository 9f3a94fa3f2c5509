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
    assert {f.disk for f in found.file_systems} == {d.name for d in found.disks}


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
        ("eth0", ["10.99.0.2/24"], ["10.99.0.1"])
    ]
