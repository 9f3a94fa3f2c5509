from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.model.layout import MIB, LogicalVolume, Partition, PartitionRole, Volume
from dtesx.model.storage import Format
from dtesx.volumes.formats import make_command

ROOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, 64 * MIB, "ext4", "u-1", "root", "/")
ESP = Partition(1, PartitionRole.EFI_SYSTEM, MIB, 64 * MIB, "vfat", "1A2B-3C4D", "EFI", "/boot/efi")


@pytest.mark.parametrize(
    ("volume", "command"),
    [
        (
            replace(ROOT, fs_type="ext3"),
            "mkfs.ext3 -q -F -O ^metadata_csum_seed,^orphan_file -U u-1 -L root /dev/x",
        ),
        (
            replace(ROOT, format=Format("1", 4096, 256, ("64bit", "quota", "project"), 4096)),
            "mkfs.ext4 -q -F -O ^metadata_csum_seed,^orphan_file,quota,project -i 4096 -U u-1 -L root /dev/x",
        ),
        (
            replace(ROOT, fs_type="xfs"),
            "mkfs.xfs -q -f -m uuid=u-1,bigtime=0,inobtcount=0 -i nrext64=0 -L root /dev/x",
        ),
        (replace(ROOT, fs_type="btrfs", label=""), "mkfs.btrfs -q -f -U u-1 /dev/x"),
        (LogicalVolume("swap", PartitionRole.SWAP, MIB, "swap", "u-1", "s"), "mkswap -U u-1 -L s /dev/x"),
        (LogicalVolume("swap", PartitionRole.SWAP, MIB, "swap"), "mkswap /dev/x"),
        (ESP, "mkfs.vfat -F 32 -i 1A2B3C4D -n EFI /dev/x"),
        (replace(ESP, size_bytes=32 * MIB, label=""), "mkfs.vfat -i 1A2B3C4D /dev/x"),
    ],
)
def test_commands_carry_uuid_and_label(volume: Volume, command: str) -> None:
    assert " ".join(make_command(volume, Path("/dev/x"))) == command


def test_unknown_type_is_refused() -> None:
    with pytest.raises(UsageError, match="ntfs"):
        make_command(replace(ROOT, fs_type="ntfs"), Path("/dev/x"))
