"""Loop devices of a lab: those over its files, and those that a machine stacked on them."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.retry import wait_until
from dtesx.base.run import run

_FREE_SECONDS = 5.0
_LOOP_GET_STATUS64 = 0x4C05
_STATUS_BYTES = 232  # struct loop_info64 of linux/loop.h; it begins with device, inode, rdevice


@dataclass(frozen=True)
class Loop:
    """A loop device: its number, the path it is over, and that path's number when it is a device.

    Paths are as seen from here: a device that was opened in another mount namespace shows a wrong one.
    """

    device: Path
    number: int
    backing: str
    backing_number: int = 0


def device_under(path: Path) -> Path:
    """The block device that ``path``'s file system is on (ext4, XFS: st_dev is its number)."""
    number = path.stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return Path("/dev") / link.resolve().name


def all_loops() -> tuple[Loop, ...]:
    """Every loop device of the host that is set up."""
    found = []
    for attribute in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        device = Path("/dev") / attribute.parts[3]
        try:
            found.append(
                Loop(device, device.stat().st_rdev, attribute.read_text().strip(), _backing_number(device))
            )
        except OSError:  # it went away meanwhile
            continue
    return tuple(found)


def _backing_number(device: Path) -> int:
    """The device number of what a loop device is over; 0 for a regular file (loop(4))."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = fcntl.ioctl(fd, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
    finally:
        os.close(fd)
    return int(struct.unpack_from("=QQQ", status)[2])


def below(directory: Path, loops: Iterable[Loop]) -> tuple[Path, ...]:
    """The devices over files in ``directory``, each after those that are stacked on it."""
    known = tuple(loops)
    prefix = f"{directory}/"
    found: list[Path] = []
    for loop in known:
        if loop.backing.startswith(prefix) and not loop.backing_number:
            found += [*stacked_on(loop.number, known), loop.device]
    return tuple(found)


def stacked_on(number: int, loops: Iterable[Loop]) -> tuple[Path, ...]:
    """The devices over the block device ``number``, such as its partitions, topmost first."""
    known = tuple(loops)
    found: list[Path] = []
    for loop in known:
        if loop.backing_number == number:
            found += [*stacked_on(loop.number, known), loop.device]
    return tuple(found)


def is_set_up(device: Path) -> bool:
    """Whether a loop device is over anything now."""
    return _attribute(device, "backing_file").exists()


def is_going(device: Path) -> bool:
    """Whether it goes away with its last user, because it was detached while in use."""
    try:
        return _attribute(device, "autoclear").read_text().strip() == "1"
    except FileNotFoundError:
        return True


def free(device: Path) -> bool:
    """Detach a loop device; False when somebody still has it open: it then goes with its last user."""
    if is_set_up(device):
        run(["losetup", "--detach", str(device)], ok=(0, 1))  # 1: it went away by itself meanwhile
    return wait_until(lambda: not is_set_up(device), timeout=_FREE_SECONDS, interval=0.05)


def _attribute(device: Path, name: str) -> Path:
    return Path("/sys/block") / device.name / "loop" / name
