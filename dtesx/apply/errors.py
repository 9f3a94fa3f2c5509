"""Which errors of the target's file system end a session, and which concern one path only."""

from __future__ import annotations

import errno
import os

from dtesx.base.errors import DtesxError, TargetFull

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EIO, errno.EROFS)


def check_fatal(error: OSError, where: str) -> None:
    """Raise TargetFull or DtesxError when ``error`` means that nothing more can be written."""
    if error.errno in _FULL:
        raise TargetFull(
            f"no space is left on the target ({where})",
            hint="free space on the target or enlarge the replica's disk, then start the mirror again",
        ) from error
    if error.errno in _BROKEN:
        raise DtesxError(
            f"the target's file system failed ({where}): {os.strerror(error.errno)}",
            hint="look at the target's kernel log (dmesg), repair the disk, then start the mirror again",
        ) from error
