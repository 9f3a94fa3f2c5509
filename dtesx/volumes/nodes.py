"""Device nodes of partitions: the kernel's own, else one loop device for each partition."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.model.layout import Layout, Partition, PartitionRole, VolumeGroup

log = get_logger(__name__)

_BLKRRPART = 0x125F


@contextmanager
def open_partitions(layout: Layout, devices: Sequence[Path]) -> Iterator[tuple[tuple[Partition, Path], ...]]:
    """Yield the partitions that hold something with their nodes; at the end all is on the disks.

    ``devices`` are the layout's disks, in its order.
    """
    found: list[tuple[Partition, Path]] = []
    with ExitStack() as stack:
        for device, disk in zip(devices, layout.disks, strict=True):
            stack.callback(flush, device)
            wanted = [part for part in disk.partitions if part.role is not PartitionRole.BIOS_BOOT]
            nodes = stack.enter_context(partition_nodes(device, wanted))
            found += [(part, nodes[part.number]) for part in wanted]
        yield tuple(found)


def members_of(group: VolumeGroup, partitions: Iterable[tuple[Partition, Path]]) -> list[Path]:
    """The nodes of the group's physical volumes."""
    return [node for part, node in partitions if part.group == group.name]


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
            yield {
                part.number: stack.enter_context(loop(device, part.start_bytes, part.size_bytes))
                for part in wanted
            }


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
def loop(device: Path, start: int, size: int) -> Iterator[Path]:
    """A loop device that shows ``size`` bytes of the device from ``start`` on; it goes at the end."""
    made = run(
        [
            "losetup",
            "--find",
            "--show",
            f"--offset={start}",
            f"--sizelimit={size}",
            str(device),
        ],
        hint="load the loop driver (modprobe loop)",
    )
    node = Path(made.text.strip())
    log.debug("loop device made", node=node, device=device, start=start, size=size)
    try:
        yield node
    finally:
        run(["losetup", "--detach", str(node)])


def loops_over(devices: Iterable[Path]) -> list[Path]:
    """Loop devices that show a part of the devices, or of one that does, these first."""
    listed = run(["losetup", "--list", "--json", "--output", "NAME,BACK-FILE,OFFSET,SIZELIMIT"]).text
    parts = {
        entry["name"]: entry["back-file"]
        for entry in (json.loads(listed)["loopdevices"] if listed.strip() else ())
        if int(entry["offset"]) or int(entry["sizelimit"])
    }
    below = {str(device.resolve()) for device in devices}
    found: list[str] = []
    while above := [name for name, behind in parts.items() if behind in below and name not in found]:
        found = [*above, *found]
        below = set(above)
    return [Path(name) for name in found]


def release_loops(devices: Iterable[Path]) -> None:
    """Detach loop devices that a killed process left over parts of the devices."""
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
