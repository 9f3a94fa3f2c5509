"""What an error of the target's file system means: for one path, for a while, or for good."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum, auto

from dtesx.apply.letting_go import all_gone
from dtesx.base.errors import DtesxError

TRIES = 3
"""So often an operation is repeated before a passing reason counts as lasting; want of space never does."""

_ROOM = 16 << 20  # more than any single operation takes

Hold = Callable[[bool, str], None]
"""Waits before the next try, or raises to end it all. Takes whether space is missing, and a reason."""


class Fate(Enum):
    """What has to become of an operation that failed."""

    PATH = auto()
    PASSING = auto()
    FULL = auto()
    BROKEN = auto()


_FATES = {
    errno.ENOSPC: Fate.FULL,
    errno.EDQUOT: Fate.FULL,
    errno.EIO: Fate.BROKEN,
    errno.EROFS: Fate.BROKEN,
    errno.EBUSY: Fate.PASSING,
    errno.ETXTBSY: Fate.PASSING,
    errno.ENOMEM: Fate.PASSING,
    errno.EMFILE: Fate.PASSING,
    errno.ENFILE: Fate.PASSING,
    errno.EAGAIN: Fate.PASSING,
}


def fate(error: OSError) -> Fate:
    """What ``error`` means for the operation that met it."""
    return _FATES.get(error.errno or 0, Fate.PATH)


def check_broken(error: OSError, where: str) -> None:
    """Raise DtesxError when ``error`` means that the file system can no longer be written to."""
    if fate(error) is Fate.BROKEN:
        raise DtesxError(
            f"the target's file system failed ({where}): {os.strerror(error.errno or 0)}",
            hint="look at the target's kernel log (dmesg), repair the disk, then start the mirror again",
        ) from error


def has_room(target: int | bytes) -> bool:
    """Whether the file system that holds ``target`` (descriptor or path) has space for any one operation.

    Where it has and ENOSPC comes all the same, one thing alone is too large: ext4 answers so to
    extended attributes that do not fit into one block.
    """
    status = os.statvfs(target)
    return status.f_bavail * status.f_frsize >= _ROOM and (not status.f_files or status.f_ffree > 0)


def persist(action: Callable[[], None], error: OSError, where: str, hold: Hold) -> OSError | None:
    """Repeat ``action``, which failed with ``error``, for as long as there is hope.

    Returns None when it was carried out, and the error that stays otherwise. Raises DtesxError when
    the file system failed, and whatever ``hold`` raises. ``where`` names the path, for people.
    """
    tries = 0
    while True:
        meaning = fate(error)
        check_broken(error, where)
        if meaning is Fate.PASSING:
            tries += 1
        if meaning is Fate.PATH or tries > TRIES:
            return error
        if meaning is not Fate.FULL or not all_gone():
            hold(meaning is Fate.FULL, f"{where}: {error.strerror}")
        try:
            action()
        except OSError as again:
            error = again
        else:
            return None
