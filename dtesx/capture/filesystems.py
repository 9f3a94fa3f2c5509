"""The file system that a directory is in, as events and kernel tables name it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dtesx.base import unattached
from dtesx.base.mountinfo import Mount, mounts
from dtesx.capture.errors import NotWatchable
from dtesx.capture.handles import handle_of, inode_of

_FSID = struct.Struct("=II")

_TYPES = {0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs"}  # linux/magic.h, statfs(2)
_STATFS_BYTES = 256

# linux/btrfs.h and btrfs_tree.h
_BTRFS_IOC_FS_INFO = 0x8400941F
_FS_INFO_BYTES = 1024
_FS_UUID = slice(16, 32)
_TOP_SUBVOLUME = 5

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class FileSystem:
    """A file system: ``number`` is what its events begin with, ``device`` what the kernel calls it inside.

    ``type`` is empty for those that are not ext4, xfs or btrfs.
    """

    number: bytes
    device: int
    type: str


def file_system(directory: int) -> FileSystem:
    """The file system that an open directory is in. Raises NotWatchable, OSError."""
    with top_of(directory) as top:
        number = os.fstatvfs(top).f_fsid
    packed = _FSID.pack(number & 0xFFFFFFFF, number >> 32)
    uuid = _btrfs_uuid(directory)
    device = os.fstat(directory).st_dev if uuid is None else _btrfs_mount(uuid).device
    return FileSystem(packed, device, _TYPES.get(_magic(directory), ""))


@contextmanager
def top_of(directory: int) -> Iterator[int]:
    """A directory by which the whole file system of ``directory`` can be watched.

    That is ``directory`` itself, but on btrfs: subvolumes can only be watched all together, from the
    one at the top, which need not be mounted. Raises NotWatchable, OSError.
    """
    uuid = _btrfs_uuid(directory)
    if uuid is None or subvolume_of(directory) == _TOP_SUBVOLUME:
        yield directory
        return
    top = _mount_top(_btrfs_mount(uuid))
    try:
        yield top
    finally:
        os.close(top)


def subvolume_of(directory: int) -> int:
    """The number of the btrfs subvolume that an open directory is in; 0 on other file systems."""
    found = inode_of(handle_of(directory))
    return found[0] if found is not None else 0


def _magic(directory: int) -> int:
    # Long enough for struct statfs, which begins with the magic number.
    status = (ctypes.c_long * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if _libc.fstatfs(ctypes.c_int(directory), status) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return status[0]


def _btrfs_uuid(directory: int) -> bytes | None:
    """The UUID of the btrfs that a directory is in; None on other file systems."""
    try:
        return fcntl.ioctl(directory, _BTRFS_IOC_FS_INFO, bytes(_FS_INFO_BYTES))[_FS_UUID]
    except OSError:
        return None


def _btrfs_mount(uuid: bytes) -> Mount:
    for mount in mounts():
        if mount.type == "btrfs" and _uuid_at(mount.point) == uuid:
            return mount
    raise NotWatchable(
        "a btrfs that is mounted nowhere in this mount namespace cannot be watched",
        hint="mount it, or run dtesx in the mount namespace of the host",
    )


def _uuid_at(point: bytes) -> bytes | None:
    try:
        fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # hidden by another mount, or gone
        return None
    try:
        return _btrfs_uuid(fd)
    finally:
        os.close(fd)


def _mount_top(mount: Mount) -> int:
    """Mount the top subvolume of a mounted btrfs where nobody sees it."""
    # As writable as it is mounted already, so that nothing changes for anybody.
    options: dict[bytes, bytes | None] = {b"ro": None} if mount.read_only else {}
    options |= {b"source": mount.source, b"subvolid": b"%d" % _TOP_SUBVOLUME}
    try:
        return unattached.mount(b"btrfs", options)
    except OSError as error:
        raise NotWatchable(
            f"the top of a btrfs cannot be opened: {error.strerror}",
            hint="see the kernel log (dmesg); mounting it with subvolid=5 helps, too",
        ) from error
