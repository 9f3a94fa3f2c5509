"""What is mounted below a directory, as the kernel lists it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def mounts_below(fd: int) -> frozenset[bytes]:
    """Paths of the mount points below an open directory, relative to it.

    Also those of bind mounts, which have the device number of what surrounds them. None for a
    directory in a mount that is attached nowhere: nothing can be mounted below it.
    """
    table = _MOUNTS.read_bytes()
    lines = [line.split(b" ", 5) for line in table.splitlines()]
    if _mount_id(fd) not in {line[0] for line in lines}:
        return frozenset()
    above = os.fsencode(Path(f"/proc/self/fd/{fd}").readlink()).rstrip(b"/") + b"/"
    points = (_ESCAPE.sub(lambda code: bytes([int(code[1], 8)]), line[4]) for line in lines)
    return frozenset(point[len(above) :] for point in points if point.startswith(above) and point != above)


def _mount_id(fd: int) -> bytes:
    for line in Path(f"/proc/self/fdinfo/{fd}").read_bytes().splitlines():
        if line.startswith(b"mnt_id:"):
            return line.split()[1]
    raise OSError(0, "the kernel does not tell which mount a descriptor is in")
