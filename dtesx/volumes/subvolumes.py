"""btrfs subvolumes on a replica: made at the source's paths, the source's default one the default."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from dtesx.base import unattached
from dtesx.base.errors import Conflict, DtesxError
from dtesx.base.log import get_logger
from dtesx.model.layout import Subvolume

log = get_logger(__name__)

# linux/btrfs.h
_SUBVOL_CREATE, _INO_LOOKUP, _DEFAULT_SUBVOL = 0x5000940E, 0xD0009412, 0x40089413
_CREATE_ARGS = struct.Struct("=q4088s")
_LOOKUP_ARGS = struct.Struct("=QQ4080s")
_ROOT_INODE = 256
"""The inode number of the top of every subvolume (BTRFS_FIRST_FREE_OBJECTID)."""

_TOP_ID = 5
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make(node: Path, subvolumes: Iterable[Subvolume]) -> None:
    """Make the subvolumes (parents first) in the btrfs on ``node``; those that are there stay.

    It is mounted for that where nobody sees it. Raises Conflict when something else is at a path,
    DtesxError when the file system cannot be mounted or changed.
    """
    try:
        options: dict[bytes, bytes | None] = {b"source": os.fsencode(node), b"subvolid": b"%d" % _TOP_ID}
        top = unattached.mount(b"btrfs", options)
        try:
            for subvolume in subvolumes:
                _make(top, subvolume)
        finally:
            os.close(top)
    except OSError as error:
        raise DtesxError(
            f"the subvolumes on {node} cannot be made: {error.strerror}",
            hint="see the appliance's kernel log (dmesg)",
        ) from error


def _make(top: int, subvolume: Subvolume) -> None:
    fd = os.dup(top)
    try:
        names = PurePosixPath(subvolume.path).parts
        for name in names[:-1]:
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=fd)
            fd = _step(fd, name)
        for name in names[-1:]:
            with suppress(FileExistsError):
                fcntl.ioctl(fd, _SUBVOL_CREATE, bytearray(_CREATE_ARGS.pack(0, os.fsencode(name))))
                log.info("subvolume made", path=subvolume.path)
            fd = _step(fd, name)
        if os.fstat(fd).st_ino != _ROOT_INODE:
            raise Conflict(
                f"the replica has a directory at {subvolume.path}, where the source has a subvolume",
                hint="delete the job's replica with its disks and create it again",
            )
        if subvolume.default:
            fcntl.ioctl(fd, _DEFAULT_SUBVOL, struct.pack("=Q", _number(fd)))
    finally:
        os.close(fd)


def _step(fd: int, name: str) -> int:
    below = os.open(name, _OPEN, dir_fd=fd)
    os.close(fd)
    return below


def _number(fd: int) -> int:
    """The number of the subvolume that an open directory is in."""
    asked = bytearray(_LOOKUP_ARGS.pack(0, _ROOT_INODE, b""))
    fcntl.ioctl(fd, _INO_LOOKUP, asked)
    found: int = _LOOKUP_ARGS.unpack(asked)[0]
    return found
