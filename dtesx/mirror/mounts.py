"""What is mounted below a directory, as the kernel lists it."""

from __future__ import annotations

import os
from pathlib import Path

from dtesx.base.mountinfo import mount_id, mounts


def mounts_below(fd: int) -> frozenset[bytes]:
    """Paths of the mount points below an open directory, relative to it.

    Also those of bind mounts, which have the device number of what surrounds them. None for a
    directory in a mount that is attached nowhere: nothing can be mounted below it.
    """
    table = mounts()
    if mount_id(fd) not in {mount.id for mount in table}:
        return frozenset()
    above = os.fsencode(Path(f"/proc/self/fd/{fd}").readlink()).rstrip(b"/") + b"/"
    points = (mount.point for mount in table)
    return frozenset(point[len(above) :] for point in points if point.startswith(above) and point != above)
