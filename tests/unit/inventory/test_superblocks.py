from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.inventory.superblocks import LENGTH, read_format
from dtesx.model.storage import Format

TYPES = ("ext4", "xfs", "btrfs", "vfat", "zfs")


def head(*fields: tuple[int, bytes]) -> bytes:
    found = bytearray(LENGTH)
    for offset, value in fields:
        found[offset : offset + len(value)] = value
    return bytes(found)


def test_an_ext4_names_its_features_as_mke2fs_does() -> None:
    found = head(
        (1024 + 24, struct.pack("<I", 2)),
        (1024 + 56, b"\x53\xef"),
        (1024 + 76, struct.pack("<I", 1)),
        (1024 + 88, struct.pack("<H", 256)),
        (
            1024 + 92,
            struct.pack("<III", 1 << 2 | 1 << 12, 1 << 2 | 1 << 6 | 1 << 7, 1 << 10 | 1 << 16 | 1 << 20),
        ),
    )
    # That it has to be recovered and has orphans is its state: nothing that a new one is made with.
    features = ("has_journal", "orphan_file", "extent", "64bit", "metadata_csum", "ro-compat-20")
    assert read_format("ext4", found) == Format("1", 4096, 256, features)


def test_the_first_ext2_has_no_features() -> None:
    found = head((1024 + 56, b"\x53\xef"), (1024 + 92, b"\xff" * 12))
    assert read_format("ext2", found) == Format("0", 1024, 128)


@pytest.mark.parametrize(("features2", "names"), [(0x200, ("ftype",)), (0x8A, ())])
def test_an_old_xfs_has_at_most_ftype(features2: int, names: tuple[str, ...]) -> None:
    found = head(
        (0, b"XFSB"),
        (4, struct.pack(">I", 4096)),
        (100, struct.pack(">HHH", 0xB4A4, 512, 256)),
        (200, struct.pack(">I", features2)),
    )
    assert read_format("xfs", found) == Format("4", 4096, 256, names)


def test_fat_has_its_width_as_version() -> None:
    made = ((11, struct.pack("<HB", 512, 8)), (510, b"\x55\xaa"))
    assert read_format("vfat", head(*made, (82, b"FAT32   "))) == Format("32", 4096)
    assert read_format("vfat", head(*made, (54, b"FAT16   "))) == Format("16", 4096)


@given(st.sampled_from(TYPES), st.binary(max_size=4096), st.booleans())
def test_what_is_no_such_file_system_tells_nothing(fs_type: str, data: bytes, whole: bool) -> None:
    found = data.replace(b"XFSB", b"").replace(b"\x53\xef", b"").replace(b"\x55\xaa", b"")
    assert read_format(fs_type, found.ljust(LENGTH, b"\0") if whole else found) == Format()


@given(st.binary(min_size=128, max_size=512))
def test_any_bits_have_names(noise: bytes) -> None:
    blocks = {
        "ext4": head((1024, noise), (1024 + 24, b"\x02\0\0\0"), (1024 + 56, b"\x53\xef")),
        "xfs": head((0, noise), (0, b"XFSB")),
        "btrfs": head((0x10000, noise), (0x10040, b"_BHRfS_M")),
    }
    assert all(all(read_format(fs_type, block).features) for fs_type, block in blocks.items())


def test_a_broken_block_size_is_not_believed() -> None:
    found = head((1024 + 24, b"\xff" * 4), (1024 + 56, b"\x53\xef"))
    assert read_format("ext4", found) == Format()
