"""Device nodes of partitions: the kernel's own, else one loop device for each partition."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.model.layout import Partition

log = get_logger(__name__)

_BLKRRPART = 0x125F


@contextmanager
def partition_nodes(device: Path, partitions: Iterable[Partition]) -> Iterator[dict[int, Path]]:
    """Yield a device node for each partition, by its number.

    A kernel that parses GPT supplies them. Where it does not (kernels without partition parsers,
    loop devices and disks in regular files), each partition gets a loop device of exactly its
    range, which is taken down at the end.
    """
    wanted = list(partitions)
    nodes = kernel_nodes(device)
    if any(partition.number not in nodes for partition in wanted) and _reread(device):
        nodes = kernel_nodes(device)
    with ExitStack() as stack:
        if all(partition.number in nodes for partition in wanted):
            yield {partition.number: nodes[partition.number] for partition in wanted}
        else:
            yield {partition.number: stack.enter_context(_loop(device, partition)) for partition in wanted}


def kernel_nodes(device: Path) -> dict[int, Path]:
    """The partitions that the kernel knows on ``device``: number to device node."""
    name = device.resolve().name
    found = {}
    for entry in Path("/sys/class/block", name).glob(f"{name}*/partition"):
        node = Path("/dev", entry.parent.name)
        if node.exists():
            found[int(entry.read_text())] = node
    return found


def _reread(device: Path) -> bool:
    """Ask the kernel to read the partition table; False when it cannot for this kind of device."""
    if not stat.S_ISBLK(device.stat().st_mode):
        return False
    status = errno.EBUSY

    def settled() -> bool:
        nonlocal status
        status = _blkrrpart(device)
        return status != errno.EBUSY  # udev may hold a changed disk open for a moment

    wait_until(settled, timeout=5)
    if status in (errno.EINVAL, errno.ENOTTY):
        return False
    if status:
        raise Conflict(
            f"{device}: the kernel cannot read its partition table: {os.strerror(status)}",
            hint=f"something uses a partition of it: unmount what findmnt and lsblk {device} show, try again",
        )
    return True


def _blkrrpart(device: Path) -> int:
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _BLKRRPART)
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        os.close(fd)
    return 0


@contextmanager
def _loop(device: Path, partition: Partition) -> Iterator[Path]:
    made = run(
        [
            "losetup",
            "--find",
            "--show",
            f"--offset={partition.start_bytes}",
            f"--sizelimit={partition.size_bytes}",
            str(device),
        ],
        hint="load the loop driver (modprobe loop)",
    )
    node = Path(made.text.strip())
    log.debug("loop device made", node=node, device=device, partition=partition.number)
    try:
        yield node
    finally:
        run(["losetup", "--detach", str(node)])


def loops_over(devices: Iterable[Path]) -> list[Path]:
    """Loop devices of partitions on the devices (loop devices that show a part of them)."""
    wanted = {str(device.resolve()) for device in devices}
    listed = run(["losetup", "--list", "--json", "--output", "NAME,BACK-FILE,OFFSET,SIZELIMIT"]).text
    loops = json.loads(listed)["loopdevices"] if listed.strip() else []
    return [
        Path(loop["name"])
        for loop in loops
        if loop["back-file"] in wanted and (int(loop["offset"]) or int(loop["sizelimit"]))
    ]


def release_loops(devices: Iterable[Path]) -> None:
    """Detach loop devices that a killed process left over partitions of the devices."""
    for node in loops_over(devices):
        log.info("left-over loop device detached", node=node)
        run(["losetup", "--detach", str(node)])
    # A loop device goes only when its last user closes it.
    if not wait_until(lambda: not loops_over(devices), timeout=5):
        left = loops_over(devices)
        raise Conflict(
            f"{', '.join(map(str, left))}: still in use although not mounted here",
            hint="find out who uses it (fuser -v -m on the device), end that process and try again",
        )


def flush(device: Path) -> None:
    """Return when everything written to the device is on it."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
