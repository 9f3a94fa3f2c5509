from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, DtesxError
from dtesx.boot.boot_code import boot_sector, core_image, install
from dtesx.model.layout import MIB, DiskLayout, Partition, PartitionRole

DISK = DiskLayout(0, 4 * MIB, (Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB),))
BOOT = bytes(range(256)) * 2
CORE = b"C" * 1300


def disk_file(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    table = b"\0" * 440 + b"T" * 72 + b"EFI PART"
    path.write_bytes(table + bytes(DISK.size_bytes - len(table)))
    return path


def test_the_sector_keeps_the_table_and_points_at_the_core() -> None:
    sector = boot_sector(BOOT, b"P" * 512, 2048)
    assert len(sector) == 512
    assert sector[440:] == b"P" * 72
    assert struct.unpack_from("<Q", sector, 0x5C) == (2048,)
    assert sector[0x64] == 0xFF
    assert sector[0x66:0x68] == b"\x90\x90"
    untouched = [*range(0x5C), 0x65, *range(0x68, 440)]
    assert all(sector[at] == BOOT[at] for at in untouched)


def test_the_core_knows_its_second_sector() -> None:
    image = core_image(CORE, 2048)
    assert len(image) == 3 * 512
    assert struct.unpack_from("<QHH", image, 500) == (2049, 2, 0x820)
    assert image[512:1300] == CORE[512:]


def test_install_writes_once(tmp_path: Path) -> None:
    path = disk_file(tmp_path)
    before = path.read_bytes()
    assert install(path, DISK, BOOT, CORE)
    after = path.read_bytes()
    assert after[440:MIB] == before[440:MIB]
    assert after[MIB : MIB + 1536] == core_image(CORE, 2048)
    assert after[MIB + 1536 :] == before[MIB + 1536 :]
    assert not install(path, DISK, BOOT, CORE)
    assert path.read_bytes() == after


def test_a_disk_without_gpt_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4 * MIB))
    with pytest.raises(Conflict, match="no GPT"):
        install(path, DISK, BOOT, CORE)
    assert path.read_bytes() == bytes(4 * MIB)


def test_a_core_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = disk_file(tmp_path)
    before = path.read_bytes()
    with pytest.raises(DtesxError, match="larger than its partition"):
        install(path, DISK, BOOT, bytes(MIB + 1))
    assert path.read_bytes() == before


def test_a_layout_without_boot_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DtesxError, match="no BIOS boot partition"):
        install(disk_file(tmp_path), DiskLayout(0, MIB, ()), BOOT, CORE)
