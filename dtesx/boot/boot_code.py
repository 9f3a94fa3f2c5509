"""GRUB's boot code on a GPT disk for BIOS: boot.img in the first sector, core.img in its partition.

The patched fields are those of GRUB's boot.S and diskboot.S, as grub-bios-setup fills them.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from dtesx.base.errors import Conflict, DtesxError
from dtesx.model.layout import DiskLayout, Partition, PartitionRole

SECTOR = 512
_KERNEL_SECTOR = 0x5C  # u64: where core.img starts
_BOOT_DRIVE = 0x64  # u8: 0xff means the disk that the BIOS started
_DRIVE_CHECK = 0x66  # a jump over a workaround for floppies; two NOPs switch the workaround on
_TABLE = slice(440, 512)  # disk signature, partition table and magic number stay
_BLOCK_LIST = 500  # u64 first sector, u16 count, u16 segment of what follows core.img's first sector
_CORE_SEGMENT = 0x820


def boot_sector(boot_image: bytes, present: bytes, core_sector: int) -> bytes:
    """The first sector: GRUB's code around the partition table that is there."""
    sector = bytearray(boot_image[:SECTOR])
    struct.pack_into("<Q", sector, _KERNEL_SECTOR, core_sector)
    sector[_BOOT_DRIVE] = 0xFF
    sector[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    sector[_TABLE] = present[_TABLE]
    return bytes(sector)


def core_image(core: bytes, core_sector: int) -> bytes:
    """core.img as whole sectors, told where its second sector is."""
    padded = bytearray(core + bytes(-len(core) % SECTOR))
    rest = len(padded) // SECTOR - 1
    struct.pack_into("<QHH", padded, _BLOCK_LIST, core_sector + 1, rest, _CORE_SEGMENT)
    return bytes(padded)


def boot_partition(disk: DiskLayout) -> Partition:
    """The partition for core.img. Raises DtesxError when the layout has none."""
    for partition in disk.partitions:
        if partition.role is PartitionRole.BIOS_BOOT:
            return partition
    raise DtesxError(
        "the replica's first disk has no BIOS boot partition",
        hint="delete the job with its replica and create it again",
    )


def install(device: Path, disk: DiskLayout, boot_image: bytes, core: bytes) -> bool:
    """Write both, the first sector last; tell whether anything changed. Durable on return.

    Raises Conflict when the device is not the partitioned disk, DtesxError when core.img is too big.
    """
    partition = boot_partition(disk)
    image = core_image(core, partition.start_bytes // SECTOR)
    if len(image) > partition.size_bytes:
        raise DtesxError(
            f"GRUB's core image ({len(image)} bytes) is larger than its partition",
            hint="report this: the BIOS boot partition is planned too small",
        )
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        present = os.pread(fd, 2 * SECTOR, 0)
        if present[SECTOR : SECTOR + 8] != b"EFI PART":
            raise Conflict(
                f"{device} has no GPT: it is not the replica's first disk",
                hint="nothing was written; check which disks the job was given",
            )
        sector = boot_sector(boot_image, present, partition.start_bytes // SECTOR)
        same = os.pread(fd, len(image), partition.start_bytes) == image and present[:SECTOR] == sector
        if not same:
            os.pwrite(fd, image, partition.start_bytes)
            os.fsync(fd)
            os.pwrite(fd, sector, 0)
            os.fsync(fd)
    finally:
        os.close(fd)
    return not same
