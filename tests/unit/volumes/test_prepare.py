from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.model.layout import MIB, DiskLayout, Partition, PartitionRole
from dtesx.volumes.prepare import disk_guid, make_command, table_script

ROOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, 64 * MIB, "ext4", "u-1", "root", "/")
DISK = DiskLayout(
    0,
    70 * MIB,
    (
        Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB),
        ROOT,
        Partition(3, PartitionRole.SWAP, 66 * MIB, 3 * MIB, "swap", "u-2"),
    ),
)


def test_table_has_exact_sectors_and_types() -> None:
    lines = table_script(DISK).splitlines()
    assert lines[0] == "label: gpt"
    assert "1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649" in lines[4]
    assert "2 : start=4096, size=131072, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4" in lines[5]
    assert "3 : start=135168, size=6144, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" in lines[6]
    assert len(set(re.findall(r"uuid=(\S+)", table_script(DISK)))) == 3


def test_disk_guid_depends_on_the_file_systems_only() -> None:
    other = replace(DISK, partitions=(*DISK.partitions[:1], replace(ROOT, uuid="u-9")))
    assert disk_guid(DISK) == disk_guid(replace(DISK, size_bytes=1 << 40))
    assert disk_guid(DISK) != disk_guid(other)
    assert disk_guid(DISK) != disk_guid(replace(DISK, index=1))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ext3", ["mkfs.ext3", "-U", "u-1", "-L", "root"]),
        ("xfs", ["mkfs.xfs", "uuid=u-1,bigtime=0,inobtcount=0", "-L", "root"]),
        ("btrfs", ["mkfs.btrfs", "-U", "u-1"]),
        ("swap", ["mkswap", "-U", "u-1"]),
    ],
)
def test_commands_carry_uuid_and_label(kind: str, words: list[str]) -> None:
    command = make_command(replace(ROOT, fs_type=kind), Path("/dev/x"))
    assert [word for word in command if word in words] == words
    assert command[-1] == "/dev/x"


def test_unknown_type_is_refused() -> None:
    with pytest.raises(UsageError, match="ntfs"):
        make_command(replace(ROOT, fs_type="ntfs"), Path("/dev/x"))
