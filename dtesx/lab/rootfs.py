"""Entering a tree on its own file system so that it looks like a booted machine's root."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.run import run
from dtesx.lab import loops

_DISK = "sda"
_NODES = {"null": "1 3", "zero": "1 5", "full": "1 7", "random": "1 8", "urandom": "1 9", "tty": "5 0"}


@dataclass(frozen=True)
class MountedTree:
    """A tree's file system: where it is mounted, its block device, and its UUID."""

    root: Path
    device: Path
    uuid: str


@contextmanager
def mounted_tree(image: Path, where: Path) -> Iterator[MountedTree]:
    """Mount an ext4 image at ``where`` through a loop device; both are gone at the end.

    The image is then complete: another mount namespace may have copied the mount and keep it for a
    while, so the end of ours alone would not write everything back.
    """
    where.mkdir(parents=True, exist_ok=True)
    run(["mount", "-t", "ext4", "-o", "loop", str(image), str(where)])
    try:
        device = loops.device_under(where)
        uuid = run(["blkid", "-o", "value", "-s", "UUID", str(image)]).text.strip()
        yield MountedTree(where, device, uuid)
    finally:
        run(["mount", "-o", "remount,ro", str(where)])
        run(["umount", str(where)])


def enter_script(tree: MountedTree, binds: Mapping[Path, str] | None = None) -> str:
    """Shell commands that make the tree the root of the present mount and PID namespaces.

    They mount /proc, /sys, /run and a small /dev that knows the root's block device, and ``binds``:
    directories of the host shown read-only in the tree. What they mount, they mount over the tree;
    the tree itself gets only the mount points of ``binds``, on a tmpfs at their common parent.

    The tree is mounted a second time, from a node named sda: programs of the tree then see a disk,
    as on a server. (GRUB writes no menu for a root on a loop device.)
    """
    root = shlex.quote(str(tree.root))
    lines = [
        *_device_lines(tree),
        f"umount {root}",  # here only; the kernel refuses the same file system twice in one place
        f"mount -t ext4 /dev/{_DISK} {root}",
        f"cd {root}",
        "mount --move /dev dev",
        "mount -t proc proc proc",
        "mount -t sysfs sysfs sys",
        "mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run",
        "mkdir -p run/lock",
        *_bind_lines(binds or {}),
        "pivot_root . .",
        "umount -l .",
        "cd /",
    ]
    return "".join(f"{line}\n" for line in lines)


def _device_lines(tree: MountedTree) -> tuple[str, ...]:
    """A /dev of its own over the host's, complete before the tree is mounted."""
    number = os.stat(tree.device).st_rdev
    major, minor = os.major(number), os.minor(number)
    return (
        "mount -t tmpfs -o mode=755,nosuid tmpfs /dev",
        "cd /dev",
        *(f"mknod -m 666 {name} c {numbers}" for name, numbers in _NODES.items()),
        *(f"mknod -m 660 {name} b {major} {minor}" for name in (_DISK, tree.device.name)),
        "mkdir -p pts shm disk/by-uuid",
        f"ln -s ../../{_DISK} disk/by-uuid/{tree.uuid}",
        "mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts pts",
        "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs shm",
        "ln -s pts/ptmx ptmx",
        "ln -s /proc/self/fd fd",
        "ln -s fd/0 stdin; ln -s fd/1 stdout; ln -s fd/2 stderr",
    )


def _bind_lines(binds: Mapping[Path, str]) -> Iterator[str]:
    if not binds:
        return
    common = os.path.commonpath([Path(inside).parent for inside in binds.values()]).lstrip("/")
    yield f"mkdir -p {shlex.quote(common)}"
    yield f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(common)}"
    for outside, inside in binds.items():
        target = shlex.quote(inside.lstrip("/"))
        yield f"mkdir -p {target}"
        yield f"mount --bind {shlex.quote(str(outside))} {target}"
        yield f"mount -o remount,bind,ro {target}"


def run_in_tree(tree: MountedTree, commands: str, *, timeout: float = 300.0) -> str:
    """Run shell commands in the tree as in a machine without network, and return their output."""
    script = enter_script(tree) + commands
    spaces = ("--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "--kill-child=KILL")
    done = run(["unshare", *spaces, "--propagation", "slave", "/bin/sh", "-e", "-c", script], timeout=timeout)
    return done.text
