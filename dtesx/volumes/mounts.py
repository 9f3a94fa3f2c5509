"""Mounting a replica's file systems, and undoing every trace of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.model.layout import FileSystem, Layout
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mapping import release_devices, release_mapped, volume_nodes
from dtesx.volumes.nodes import members_of, open_partitions

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
        nodes = stack.enter_context(_open(layout, devices))
        mounted: dict[str, Path] = {}
        for number, fs in enumerate(layout.file_systems()):
            if nested:
                directory = mount_directory(where, fs.mount_point)
            else:
                directory = where / str(number)
                directory.mkdir(exist_ok=True)
            if fs.mounted or not nested:
                stack.enter_context(_mounted(fs, nodes[fs.uuid], directory))
            mounted[fs.mount_point] = directory
        yield mounted
    # What udev's rules activated meanwhile would hold the disks when they are taken away.
    release_mapped(devices)


@contextmanager
def _open(layout: Layout, devices: Sequence[Path]) -> Iterator[dict[str, Path]]:
    """Yield the device node of each file system, by its UUID."""
    with ExitStack() as stack:
        parts = stack.enter_context(open_partitions(layout, devices))
        nodes = {part.uuid: node for part, node in parts if part.uuid}
        for group in layout.groups:
            volumes = stack.enter_context(volume_nodes(group, members_of(group, parts)))
            nodes |= {volume.uuid: volumes[volume.name] for volume in group.volumes}
        yield nodes


def release(where: Path, devices: Sequence[Path]) -> None:
    """Undo what a killed process left: mounts at or below ``where``, and what lies over ``devices``.

    Does nothing when there is nothing. Raises Conflict or CommandFailed when something still uses them.
    """
    for mount_point in mounts_below(where):
        log.info("left-over mount released", where=mount_point)
        _unmount(mount_point)
    release_devices(devices)


def release_disks(where: Path, uuids: Sequence[str]) -> None:
    """The same for virtual disks, as far as they are attached to this machine."""
    devices = []
    for uuid in uuids:
        try:
            devices.append(find_disk(uuid, timeout=0))
        except NotFound as error:
            log.info("a disk is not here any more", uuid=uuid, reason=error.message)
    release(where, devices)


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
def _mounted(fs: FileSystem, node: Path, directory: Path) -> Iterator[None]:
    options = ",".join((_OPTIONS, *_own_options(fs), *fs.options))
    run(
        ["mount", "--types", fs.fs_type, "--options", options, str(node), str(directory)],
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


def _own_options(fs: FileSystem) -> tuple[str, ...]:
    if fs.fs_type == "xfs":
        # The UUID is the source's, whose file system may be mounted on the same host (in a lab).
        return ("nouuid",)
    if fs.fs_type == "btrfs":
        return (f"subvol=/{fs.subvolume}",)
    if fs.fs_type == "vfat":
        # It has no owners and modes: a mirror's attempts to set them are let pass (mount(8), quiet).
        return ("quiet",)
    return ()


def _unescape(path: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), path)


def mounted_flat(layout: Layout, where: Path) -> dict[str, Path]:
    """The directories of a layout that is mounted, not nested, at ``where`` by another process.

    Raises Conflict when it is not.
    """
    places = {fs.mount_point: where / str(number) for number, fs in enumerate(layout.file_systems())}
    if not all(place.is_mount() for place in places.values()):
        raise Conflict(
            "the replica's disks are not mounted now", hint="try again when the job mirrors or replicates"
        )
    return places
