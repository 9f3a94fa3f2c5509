"""Mounting a replica's file systems, and undoing every trace of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.model.layout import DiskLayout, Layout, Partition, PartitionRole
from dtesx.volumes.nodes import flush, partition_nodes, release_loops

log = get_logger(__name__)

# Nothing of a replica is ever run or used as a device on the machine that holds it.
_OPTIONS = "noatime,nosuid,nodev,noexec"
_BUSY_SECONDS = 5.0
_UMOUNT_FAILED = 32  # umount(8)
_OCTAL = re.compile(r"\\([0-7]{3})")


@contextmanager
def mounted_layout(
    layout: Layout, devices: Sequence[Path], where: Path, *, nested: bool
) -> Iterator[dict[str, Path]]:
    """Mount every file system of the layout; yield mount point -> directory.

    ``devices`` are the layout's disks, in its order. ``nested`` mounts the tree as the replica will
    see it, with its root at ``where``; otherwise each file system is mounted by itself at
    ``where/0``, ``where/1``, ... What a killed predecessor left at ``where`` or over the devices is
    cleared first. At the end everything is unmounted and on the disks, also when something failed
    on the way. Raises CommandFailed or Conflict.
    """
    release(where, devices)
    with ExitStack() as stack:
        where.mkdir(parents=True, exist_ok=True)
        for device in devices:
            stack.callback(flush, device)
        nodes = {
            disk.index: stack.enter_context(partition_nodes(device, _mountable(disk)))
            for disk, device in zip(layout.disks, devices, strict=True)
        }
        mounted: dict[str, Path] = {}
        for number, (disk, partition) in enumerate(layout.file_systems()):
            if nested:
                directory = mount_directory(where, partition.mount_point)
            else:
                directory = where / str(number)
                directory.mkdir(exist_ok=True)
            stack.enter_context(_mounted(partition, nodes[disk.index][partition.number], directory))
            mounted[partition.mount_point] = directory
        yield mounted


def release(where: Path, devices: Sequence[Path]) -> None:
    """Undo what a killed process left: mounts at or below ``where``, loop devices over ``devices``.

    Does nothing when there is nothing. Raises Conflict when something still uses them.
    """
    for mount_point in mounts_below(where):
        log.info("left-over mount released", where=mount_point)
        _unmount(mount_point)
    release_loops(devices)


def mounts_below(where: Path) -> list[Path]:
    """Mount points at or below ``where`` in this mount namespace, the latest first."""
    top = where.resolve()
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    points = [_unescape(line.split(" ")[4]) for line in lines]
    return [point for point in map(Path, reversed(points)) if point == top or top in point.parents]


def mount_directory(root: Path, mount_point: str) -> Path:
    """The directory below ``root`` for a mount point, made where it is missing.

    Raises Conflict when part of the path is not a directory: following a link of the replica could
    lead out of it.
    """
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in Path(mount_point.lstrip("/")).parts:
            fd = _step(fd, name, mount_point)
    finally:
        os.close(fd)
    return root / mount_point.lstrip("/")


def _step(fd: int, name: str, mount_point: str) -> int:
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            raise Conflict(
                f"the replica has something other than a directory on the way to {mount_point} ({name})",
                hint="mirror the source again; it has a directory there",
            )
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=fd)
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    os.close(fd)
    return below


@contextmanager
def _mounted(partition: Partition, node: Path, directory: Path) -> Iterator[None]:
    # The UUID is the source's, whose file system may be mounted on the same host (in a lab).
    options = f"{_OPTIONS},nouuid" if partition.fs_type == "xfs" else _OPTIONS
    run(
        ["mount", "--types", partition.fs_type, "--options", options, str(node), str(directory)],
        hint=f"check the file system (fsck {node}) and the kernel log (dmesg)",
    )
    try:
        yield
    finally:
        _unmount(directory)


def _unmount(directory: Path) -> None:
    last = ""

    def done() -> bool:
        nonlocal last
        tried = run(["umount", "--no-canonicalize", str(directory)], ok=(0, _UMOUNT_FAILED))
        last = tried.stderr.decode(errors="replace").strip()
        return tried.status == 0

    if not wait_until(done, timeout=_BUSY_SECONDS):
        raise Conflict(
            f"{directory} cannot be unmounted: {last}",
            hint=f"end what uses it (fuser -v -m {directory}), then try again",
        )


def _mountable(disk: DiskLayout) -> list[Partition]:
    return [part for part in disk.partitions if part.role is PartitionRole.FILE_SYSTEM]


def _unescape(path: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), path)
