"""The programs of this machine that a replica's disks need, and the Debian packages that have them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from dtesx.base.run import environment, run
from dtesx.model.layout import Layout

_ALWAYS = ("blkid", "depmod", "grub-mkimage", "losetup", "sfdisk")
_MAKERS = {
    "ext2": "mkfs.ext2",
    "ext3": "mkfs.ext3",
    "ext4": "mkfs.ext4",
    "xfs": "mkfs.xfs",
    "btrfs": "mkfs.btrfs",
    "vfat": "mkfs.vfat",
    "swap": "mkswap",
}
_OF_GROUPS = ("dmsetup", "lvm")
_PACKAGES = {
    "blkid": "util-linux",
    "depmod": "kmod",
    "grub-mkimage": "grub-common",
    "losetup": "mount",
    "sfdisk": "fdisk",
    "mkfs.ext2": "e2fsprogs",
    "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.vfat": "dosfstools",
    "dmsetup": "dmsetup",
    "lvm": "lvm2",
    "mkswap": "util-linux",
}
_INSTALL_SECONDS = 900.0


def needed(layout: Layout) -> tuple[str, ...]:
    """The programs that make a layout's disks and start them, in order of their names."""
    makers = {_MAKERS[volume.fs_type] for volume in layout.volumes() if volume.fs_type in _MAKERS}
    return tuple(sorted({*_ALWAYS, *makers, *(_OF_GROUPS if layout.groups else ())}))


def missing(programs: Iterable[str]) -> tuple[str, ...]:
    """Those of the programs that this machine does not have."""
    path = environment()["PATH"]
    return tuple(program for program in programs if shutil.which(program, path=path) is None)


def installable() -> bool:
    """Whether this machine gets its packages by apt-get."""
    return not missing(("apt-get",))


def packages(programs: Iterable[str]) -> tuple[str, ...]:
    """The Debian packages that have these programs."""
    return tuple(sorted({_PACKAGES[program] for program in programs}))


def install(names: Iterable[str]) -> None:
    """Install Debian packages from the archives that this machine uses. Raises CommandFailed."""
    hint = "install them by hand on the appliance"
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=env, timeout=_INSTALL_SECONDS, hint=hint)
    command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    run(command, env=env, timeout=_INSTALL_SECONDS, hint=hint)
