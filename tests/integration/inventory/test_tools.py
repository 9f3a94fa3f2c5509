"""The words of real tools, on disks in files. This needs no device-mapper: LVM keeps its metadata without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.inventory.blocks import COLUMNS, parse_blocks, with_tables
from dtesx.inventory.lvm import REPORT, parse_report
from dtesx.inventory.superblocks import LENGTH, read_format
from dtesx.model.storage import BlockDevice, DeviceKind, DiskFacts, TableKind, VolumeKind

pytestmark = pytest.mark.integration

MIB = 1 << 20
GROUP = "dtesxtest"
# What lvcreate would write for a thin pool, a thin volume with a snapshot, a RAID 1 and a thick snapshot.
METADATA = """
contents = "Text Format Volume Group"
version = 1
%(group)s {
 id = "%(id)s"
 seqno = 5
 format = "lvm2"
 status = ["RESIZEABLE", "READ", "WRITE"]
 flags = []
 extent_size = 8192
 max_lv = 0
 max_pv = 0
 metadata_copies = 0
 physical_volumes {
  pv0 { id = "%(pv0)s" status = ["ALLOCATABLE"] flags = [] pe_start = 2048 pe_count = 63 }
  pv1 { id = "%(pv1)s" status = ["ALLOCATABLE"] flags = [] pe_start = 2048 pe_count = 63 }
 }
 logical_volumes { %(volumes)s }
}
"""
LINEAR = 'type = "striped" stripe_count = 1 stripes = ["%s", %d]'


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two loop devices of 256 MiB."""
    with ExitStack() as stack:
        devices = []
        for name in ("one", "two"):
            image = tmp_path / name
            image.touch()
            os.truncate(image, 256 * MIB)
            devices.append(run(["losetup", "--find", "--show", str(image)]).text.strip())
            stack.callback(run, ["losetup", "--detach", devices[-1]])
        yield devices[0], devices[1]


def lvm(loops: tuple[str, str], *argv: str) -> str:
    accept = ", ".join(f'"a|^{device}$|"' for device in loops)
    config = f'devices {{ global_filter=[{accept}, "r|.*|"] }} backup {{ backup=0 archive=0 }}'
    done = subprocess.run(
        ["lvm", argv[0], "--driverloaded", "n", "--config", config, *argv[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def volume(name: str, number: int, extents: int, segment: str, *, visible: bool = True) -> str:
    status = '"READ", "WRITE", "VISIBLE"' if visible else '"READ", "WRITE"'
    return (
        f'{name} {{ id = "LWPsSK-RhQE-MHyS-N8rB-lA0I-Ak3V-qx8y{number:02d}" status = [{status}] flags = []\n'
        f"segment_count = 1\nsegment1 {{ start_extent = 0 extent_count = {extents}\n{segment}\n}} }}\n"
    )


def volumes() -> str:
    pool = (
        'type = "thin-pool" metadata = "pool_tmeta" pool = "pool_tdata" transaction_id = 2 chunk_size = 128'
    )
    thin = 'type = "thin" thin_pool = "pool" transaction_id = 0 device_id = '
    raids = ", ".join(f'"twin_rmeta_{n}", "twin_rimage_{n}"' for n in (0, 1))
    made = [
        volume("root", 1, 8, LINEAR % ("pv0", 0)),
        volume(
            "wide", 2, 8, 'type = "striped" stripe_count = 2 stripe_size = 128 stripes = ["pv0", 8, "pv1", 0]'
        ),
        volume("pool", 3, 4, pool),
        volume("pool_tmeta", 4, 1, LINEAR % ("pv0", 13), visible=False),
        volume("pool_tdata", 5, 4, LINEAR % ("pv0", 14), visible=False),
        volume("lvol0_pmspare", 6, 1, LINEAR % ("pv0", 12), visible=False),
        volume("data", 7, 25, f"{thin} 1"),
        volume("snap", 8, 25, f'{thin} 2 origin = "data"'),
        volume("twin", 9, 4, f'type = "raid1" device_count = 2 region_size = 4096 raids = [{raids}]'),
        volume("old", 14, 2, LINEAR % ("pv0", 30)),
        volume(
            "snapshot0",
            15,
            8,
            'type = "snapshot" chunk_size = 8 origin = "root" cow_store = "old"',
            visible=False,
        ),
    ]
    for n in (0, 1):
        made.append(volume(f"twin_rmeta_{n}", 10 + n, 1, LINEAR % (f"pv{n}", 20), visible=False))
        made.append(volume(f"twin_rimage_{n}", 12 + n, 4, LINEAR % (f"pv{n}", 21), visible=False))
    return "".join(made)


def test_lvm_tells_of_volumes_of_every_kind(loops: tuple[str, str], tmp_path: Path) -> None:
    lvm(loops, "pvcreate", *loops)
    lvm(loops, "vgcreate", GROUP, *loops)
    ids = lvm(loops, "pvs", "--noheadings", "--options", "pv_uuid", *loops).split()
    group_id = lvm(loops, "vgs", "--noheadings", "--options", "vg_uuid", GROUP).strip()
    values = {"group": GROUP, "id": group_id, "pv0": ids[0], "pv1": ids[1], "volumes": volumes()}
    (tmp_path / "metadata").write_text(METADATA % values)
    lvm(loops, "vgcfgrestore", "--force", "--file", str(tmp_path / "metadata"), GROUP)

    blocks = parse_blocks(run(["lsblk", "--json", "--bytes", "--paths", "--output", COLUMNS]).text)
    devices = {block.number: block.device for block in blocks}
    (found,) = (g for g in parse_report(run(REPORT).text, devices) if g.name == GROUP)
    assert {(p.device, p.size_bytes, p.missing) for p in found.physical_volumes} == {
        (device, 252 * MIB, False) for device in loops
    }
    assert (found.size_bytes, found.extent_bytes) == (504 * MIB, 4 * MIB)
    assert {v.name: (v.kind, v.pool, v.origin) for v in found.logical_volumes} == {
        "root": (VolumeKind.LINEAR, "", ""),
        "wide": (VolumeKind.STRIPED, "", ""),
        "pool": (VolumeKind.THIN_POOL, "", ""),
        "data": (VolumeKind.THIN, "pool", ""),
        "snap": (VolumeKind.THIN, "pool", "data"),
        "twin": (VolumeKind.RAID, "", ""),
        "old": (VolumeKind.SNAPSHOT, "", "root"),
    }
    assert {v.name: v.size_bytes for v in found.logical_volumes}["data"] == 100 * MIB


@pytest.mark.parametrize(
    ("script", "kind", "types"),
    [
        (
            "label: gpt\nsize=8MiB, type=U, name=esp\nsize=16MiB, type=L\n",
            TableKind.GPT,
            ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"],
        ),
        ("label: dos\nsize=8MiB, type=83, bootable\nsize=16MiB, type=8e\n", TableKind.MBR, ["83", "8E"]),
    ],
)
def test_sfdisk_tells_of_partitions(tmp_path: Path, script: str, kind: TableKind, types: list[str]) -> None:
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 64 * MIB)
    run(["sfdisk", "--quiet", str(image)], stdin=script.encode())
    devices = (
        BlockDevice("sda", "/dev/sda", DeviceKind.DISK, 64 * MIB, disk=DiskFacts()),
        BlockDevice("sda1", "/dev/sda1", DeviceKind.PARTITION, 8 * MIB, ("sda",)),
        BlockDevice("sda2", "/dev/sda2", DeviceKind.PARTITION, 16 * MIB, ("sda",)),
    )
    disk, *parts = with_tables(devices, {"sda": run(["sfdisk", "--json", str(image)]).text})
    assert disk.disk is not None
    assert disk.disk.table is kind
    facts = [part.partition for part in parts if part.partition]
    assert [(f.number, f.start_bytes, f.type) for f in facts] == [
        (1, MIB, types[0]),
        (2, 9 * MIB, types[1]),
    ]
    assert facts[0].label == ("esp" if kind is TableKind.GPT else "")
    assert [f.bootable for f in facts] == [kind is TableKind.MBR, False]
    assert [f.uuid.count("-") for f in facts] == ([4, 4] if kind is TableKind.GPT else [1, 1])


def made(path: Path, *argv: str) -> bytes:
    path.touch()
    os.truncate(path, 400 * MIB)
    run([*argv, str(path)])
    with open(path, "rb") as file:
        return file.read(LENGTH)


def test_ext4_as_dumpe2fs_has_it(tmp_path: Path) -> None:
    image = tmp_path / "ext4"
    found = read_format(
        "ext4", made(image, "mkfs.ext4", "-q", "-O", "^metadata_csum,project,quota", "-b", "2048")
    )
    listed = run(["dumpe2fs", "-h", str(image)]).text
    (features,) = (line for line in listed.splitlines() if line.startswith("Filesystem features:"))
    assert sorted(found.features) == sorted(features.split(":")[1].split())
    assert (found.version, found.block_bytes, found.inode_bytes) == ("1", 2048, 256)


def test_a_mounted_ext4_that_needs_recovery_does_not_say_so(tmp_path: Path) -> None:
    image, where = tmp_path / "ext4", tmp_path / "where"
    before = read_format("ext4", made(image, "mkfs.ext4", "-q"))
    where.mkdir()
    script = 'mount -o loop "$1" "$2" && touch "$2/x" && sync && head -c 69632 "$1" >"$1.head"'
    run(["unshare", "--mount", "sh", "-c", script, "sh", str(image), str(where)])
    assert read_format("ext4", Path(f"{image}.head").read_bytes()) == before


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        (
            ("-m", "reflink=1,rmapbt=1,bigtime=1,inobtcount=1"),
            "crc reflink rmapbt bigtime ftype finobt",
            "nrext64",
        ),
        (
            ("-m", "reflink=0,bigtime=0,inobtcount=0"),
            "crc ftype finobt sparse",
            "reflink bigtime inobtcount rmapbt",
        ),
        (("-i", "sparse=0", "-n", "size=8192"), "crc ftype", "sparse"),
    ],
)
def test_xfs(tmp_path: Path, options: tuple[str, ...], present: str, absent: str) -> None:
    found = read_format("xfs", made(tmp_path / "xfs", "mkfs.xfs", "-q", *options))
    assert (found.version, found.block_bytes, found.inode_bytes) == ("5", 4096, 512)
    assert set(present.split()) <= set(found.features)
    assert not set(absent.split()) & set(found.features)


def test_an_old_xfs_without_checksums(tmp_path: Path) -> None:
    found = read_format("xfs", made(tmp_path / "xfs", "mkfs.xfs", "-q", "-m", "crc=0", "-n", "ftype=1"))
    assert (found.version, found.inode_bytes, found.features) == ("4", 256, ("ftype",))


def test_btrfs(tmp_path: Path) -> None:
    found = read_format("btrfs", made(tmp_path / "btrfs", "mkfs.btrfs", "-q", "-O", "^no-holes,raid56"))
    assert {"raid56", "free-space-tree", "extref", "skinny-metadata"} <= set(found.features)
    assert not {"no-holes", "mixed-bg"} & set(found.features)
    assert found.block_bytes == 4096
