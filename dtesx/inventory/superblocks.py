"""How a file system was made, from its superblock's bytes. Pure.

The layouts are those of the kernel's headers (fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h,
include/uapi/linux/btrfs_tree.h); the names of the features are those of e2fsprogs, xfsprogs and btrfs-progs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dtesx.model.storage import Format

LENGTH = 0x10000 + 4096
"""Bytes from the start of a device that hold the superblock of each type known here."""

# The names of the bits from 0 on; "-" where there is none. In brackets: known, but nothing that a new
# file system is made with (a state, an effect of mount options, or what every mkfs sets).
_EXT_COMPATIBLE = (
    "dir_prealloc imagic_inodes has_journal ext_attr resize_inode dir_index - - - sparse_super2 fast_commit"
    " stable_inodes orphan_file"
)
_EXT_INCOMPATIBLE = (
    "compression filetype (needs_recovery) (journal_dev) meta_bg - extent 64bit mmp flex_bg ea_inode -"
    " dirdata metadata_csum_seed large_dir inline_data encrypt casefold"
)
_EXT_READ_ONLY = (
    "sparse_super large_file - huge_file uninit_bg dir_nlink extra_isize - quota bigalloc metadata_csum -"
    " read-only project shared_blocks verity (orphan_present)"
)
_EXT_MAX_LOG_BLOCK_SIZE = 6  # blocks of 64 KiB
_XFS_READ_ONLY = "finobt rmapbt reflink inobtcount"
_XFS_INCOMPATIBLE = "ftype sparse (meta_uuid) bigtime (needsrepair) nrext64 exchange parent metadir"
_BTRFS_READ_ONLY = "free-space-tree (free-space-tree-valid) (verity) block-group-tree"
_BTRFS_INCOMPATIBLE = (
    "(mixed-backref) (default-subvol) mixed-bg (lzo) (zstd) (big-metadata) extref raid56 skinny-metadata"
    " no-holes (metadata-uuid) raid1c34 zoned extent-tree-v2 raid-stripe-tree - squota"
)


def read_format(fs_type: str, head: bytes) -> Format:
    """How the file system was made whose device begins with ``head`` (LENGTH bytes).

    Features that are unknown here are named by their set and bit (``incompat-18``), for whoever has to
    make a file system like this one must not overlook them. Empty for other types, and for bytes that
    are no such file system.
    """
    if fs_type in ("ext2", "ext3", "ext4"):
        return _ext(head)
    reader = {"xfs": _xfs, "btrfs": _btrfs, "vfat": _vfat}.get(fs_type)
    return reader(head) if reader else Format()


def _ext(head: bytes) -> Format:
    block = head[1024:2048]
    if len(block) < 1024 or block[56:58] != b"\x53\xef":
        return Format()
    (log_block_size,) = struct.unpack_from("<I", block, 24)
    if log_block_size > _EXT_MAX_LOG_BLOCK_SIZE:
        return Format()
    (revision,) = struct.unpack_from("<I", block, 76)
    inodes, blocks = struct.unpack_from("<II", block, 0)
    (more_blocks,) = struct.unpack_from("<I", block, 0x150)
    size = blocks << 10 + log_block_size
    if not revision:
        return Format("0", 1024 << log_block_size, 128, bytes_per_inode=size // max(1, inodes))
    (inode_size,) = struct.unpack_from("<H", block, 88)
    compatible, incompatible, read_only = struct.unpack_from("<III", block, 92)
    features = (
        *_named(compatible, _EXT_COMPATIBLE, "compat"),
        *_named(incompatible, _EXT_INCOMPATIBLE, "incompat"),
        *_named(read_only, _EXT_READ_ONLY, "ro-compat"),
    )
    if "64bit" in features:
        size += more_blocks << 32 + 10 + log_block_size
    return Format(str(revision), 1024 << log_block_size, inode_size, features, size // max(1, inodes))


def _xfs(head: bytes) -> Format:
    if len(head) < 512 or head[:4] != b"XFSB":
        return Format()
    (block_size,) = struct.unpack_from(">I", head, 4)
    version, _sector, inode_size = struct.unpack_from(">HHH", head, 100)
    features2, _bad, _compatible, read_only, incompatible = struct.unpack_from(">IIIII", head, 200)
    number = version & 0xF
    if number < 5:
        return Format(str(number), block_size, inode_size, ("ftype",) if features2 & 0x200 else ())
    features = (
        "crc",
        *_named(read_only, _XFS_READ_ONLY, "ro-compat"),
        *_named(incompatible, _XFS_INCOMPATIBLE, "incompat"),
    )
    return Format(str(number), block_size, inode_size, features)


def _btrfs(head: bytes) -> Format:
    block = head[0x10000 : 0x10000 + 4096]
    if len(block) < 4096 or block[0x40:0x48] != b"_BHRfS_M":
        return Format()
    (sector_size,) = struct.unpack_from("<I", block, 0x90)
    read_only, incompatible = struct.unpack_from("<QQ", block, 0xB4)
    features = (
        *_named(incompatible, _BTRFS_INCOMPATIBLE, "incompat"),
        *_named(read_only, _BTRFS_READ_ONLY, "ro-compat"),
    )
    return Format("", sector_size, 0, features)


def _vfat(head: bytes) -> Format:
    if len(head) < 512 or head[510:512] != b"\x55\xaa":
        return Format()
    sector_size, per_cluster = struct.unpack_from("<HB", head, 11)
    signature = head[82:90] if head[82:87] == b"FAT32" else head[54:62]
    version = signature.decode("ascii", "replace").strip().removeprefix("FAT")
    return Format(version, sector_size * per_cluster)


def _named(bits: int, names: str, group: str) -> Iterator[str]:
    listed = names.split()
    for number in range(bits.bit_length()):
        name = listed[number] if number < len(listed) else "-"
        if bits >> number & 1 and not name.startswith("("):
            yield f"{group}-{number}" if name == "-" else name
