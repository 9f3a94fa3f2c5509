"""The kernel's table of mounts, ``mountinfo`` (proc(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """A line of the table: ``device`` is the file system's own number, ``root`` what of it is mounted.

    ``read_only`` is said of the file system, not of this mount.
    """

    id: int
    device: int
    root: bytes
    point: bytes
    type: str
    source: bytes
    read_only: bool


def mounts() -> list[Mount]:
    """What is mounted in this mount namespace, in mount order. Raises OSError."""
    return parse(_TABLE.read_bytes())


def parse(table: bytes) -> list[Mount]:
    """The mounts in the text of the table."""
    return [_mount(line) for line in table.splitlines()]


def mount_id(fd: int) -> int:
    """The number of the mount that an open file is in; one that is attached nowhere is in no table."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_bytes().splitlines():
        if line.startswith(b"mnt_id:"):
            return int(line.split()[1])
    raise OSError(0, "the kernel does not tell which mount a descriptor is in")


def _mount(line: bytes) -> Mount:
    fixed, _, more = line.partition(b" - ")
    number, _, device, root, point, *_ = fixed.split(b" ")
    kind, source, options = more.split(b" ", 2)
    major, _, minor = device.partition(b":")
    return Mount(
        int(number),
        os.makedev(int(major), int(minor)),
        _unescape(root),
        _unescape(point),
        kind.decode(),
        _unescape(source),
        b"ro" in options.split(b","),
    )


def _unescape(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda code: bytes([int(code[1], 8)]), text)
