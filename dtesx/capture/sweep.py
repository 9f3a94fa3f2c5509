"""Which files may be changing without an event: mapped for writing, written to by libaio, loop devices.

What was changed this way and is not any more, an event has told: that the file was closed (CLOSE_WRITE).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container, Iterator
from contextlib import suppress
from pathlib import Path

from dtesx.capture.handles import handle_of

_PROC = Path("/proc")
_BLOCK_DEVICES = Path("/sys/block")
# proc(5), /proc/PID/maps: what is shared and may be stored to. A newline in a name is \012 there.
_MAPPING = re.compile(rb"^([0-9a-f]+-[0-9a-f]+) .w.s [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) \d+ +(.*)$", re.M)
_ASYNCHRONOUS = b"/[aio]"  # the mapping that io_setup(2) makes
_FLAGS = re.compile(rb"^flags:\s+([0-7]+)$", re.M)  # proc(5), /proc/PID/fdinfo
_WRITERS = (os.O_WRONLY, os.O_RDWR)


def in_writing(devices: Container[int], ignored: Collection[int]) -> set[bytes]:
    """Handles of the files that may be changing now; of those mapped, only on ``devices``.

    Processes that are ``ignored``, that end meanwhile or that we may not look at are left out.
    """
    found: set[bytes] = set()
    for process in _processes():
        if process not in ignored:
            with suppress(OSError):  # ended since, or hidden from us
                found.update(_of(_PROC / str(process), devices))
    for device in _BLOCK_DEVICES.glob("loop*"):
        with suppress(OSError):  # detached
            found.update(_behind(device))
    return found


def _behind(device: Path) -> Iterator[bytes]:
    if (device / "ro").read_text().strip() == "0":
        # Whatever else there is in the name, the kernel ends it with a line feed (linux/sysfs.h).
        path = (device / "loop" / "backing_file").read_bytes().removesuffix(b"\n")
        yield from _handle(Path(os.fsdecode(path)))


def _processes() -> Iterator[int]:
    yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _of(process: Path, devices: Container[int]) -> Iterator[bytes]:
    asynchronous = False
    for addresses, major, minor, path in _MAPPING.findall((process / "maps").read_bytes()):
        asynchronous |= path.startswith(_ASYNCHRONOUS)
        if os.makedev(int(major, 16), int(minor, 16)) in devices:
            yield from _handle(process / "map_files" / addresses.decode())
    if asynchronous:
        yield from _opened(process)


def _opened(process: Path) -> Iterator[bytes]:
    for info in (process / "fdinfo").iterdir():
        with suppress(OSError):  # closed since
            flags = _FLAGS.search(info.read_bytes())
            if flags and int(flags[1], 8) & os.O_ACCMODE in _WRITERS:
                yield from _handle(process / "fd" / info.name)


def _handle(link: Path) -> Iterator[bytes]:
    with suppress(OSError):  # gone since, or what has no handle: a socket, say
        fd = os.open(link, os.O_PATH | os.O_CLOEXEC)
        try:
            yield handle_of(fd)
        finally:
            os.close(fd)
