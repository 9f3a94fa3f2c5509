"""grub.cfg: whether the source's own finds the replica's disks, and a plain one where it does not. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dtesx.boot import arguments as kernel_arguments
from dtesx.boot.arguments import Devices
from dtesx.boot.devices import Volume
from dtesx.boot.kernels import Kernel
from dtesx.boot.lost import OFF

_LINUX = re.compile(r"^[ \t]*linux(?:16|efi)?[ \t]+(\S+)(.*)$", re.MULTILINE)
_SEARCH = re.compile(
    r"^[ \t]*search(?:\.fs_uuid[ \t]+(\S+)|[ \t].*--fs-uuid.*[ \t](\S+)[ \t]*$)", re.MULTILINE
)
_ENTRIES = re.compile(r"^[ \t]*blscfg\b", re.MULTILINE)
_ARGUMENTS = re.compile(r"^[ \t]*(?:linux(?:16|efi)?[ \t]|set kernelopts=).*$", re.MULTILINE)
_DEFAULTS = re.compile(r"^[ \t]*GRUB_CMDLINE_LINUX\w*=.*$", re.MULTILINE)
_BY_PARTITION = re.compile(r"^[ \t]*GRUB_FORCE_PARTUUID=.*$", re.MULTILINE)  # Ubuntu's cloud images
_CMDLINE = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")
_OWN_ARGUMENTS = ("root=", "rootfstype=", "rootflags=", "BOOT_IMAGE=", "ro", "rw")
_NO_LINUX = "memtest"
_TIMEOUT = 2


@dataclass(frozen=True)
class View:
    """How GRUB sees the file system that holds /boot.

    ``subvolume`` is the btrfs subvolume that is mounted there, "" for none; ``relative``: paths count from
    the default subvolume, as in SUSE's GRUB (its btrfs_relative_path), instead of from the top.
    """

    boot: Volume
    subvolume: str = ""
    relative: bool = False

    def seen(self, path: str) -> str:
        """An absolute path of the replica, below /boot, as GRUB is told it."""
        below = path.removeprefix("/boot") if self.boot.mount_point == "/boot" else path
        top = self.subvolume.strip("/")
        return f"/{top}{below}" if top and not self.relative else below

    def search(self) -> list[str]:
        """The commands that make this file system the one that paths refer to."""
        relative = ['set btrfs_relative_path="y"'] if self.relative else []
        return [*relative, f"search --no-floppy --fs-uuid --set=root {self.boot.uuid}"]


def fits(
    text: str, devices: Devices, known: Collection[str], images: Collection[str], *, entries: bool
) -> bool:
    """Whether a grub.cfg starts the replica as it is.

    Every menu entry must name the root file system and an installed kernel (of ``images``), every search a
    file system of the replica (``known`` UUIDs). ``entries``: boot loader entries in files do, and this
    GRUB can read them.
    """
    commands = [(image, words) for image, words in _LINUX.findall(text) if _NO_LINUX not in image]
    searches = searched(text)
    if not searches or any(uuid not in known for uuid in searches):
        return False
    if not commands:
        return entries and bool(_ENTRIES.search(text))
    return all(
        image.rsplit("/", 1)[-1] in images and kernel_arguments.fits(words.split(), devices)
        for image, words in commands
    )


def searched(text: str) -> list[str]:
    """The UUIDs of file systems that a grub.cfg searches for."""
    return [first or second for first, second in _SEARCH.findall(text)]


def repaired(text: str, devices: Devices) -> str:
    """A grub.cfg whose kernel arguments name the replica's devices; all else stays bytewise."""
    return _ARGUMENTS.sub(lambda line: kernel_arguments.in_text(line[0], devices), text)


def repaired_defaults(text: str, devices: Devices) -> str:
    """The same for /etc/default/grub; partitions have other identifiers on the replica than on the source."""
    fixed = _DEFAULTS.sub(lambda line: kernel_arguments.in_text(line[0], devices), text)
    return _BY_PARTITION.sub(lambda line: f"{OFF}{line[0]}", fixed)


def defaults(text: str) -> dict[str, str]:
    """/etc/default/grub: its plain shell assignments."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            try:
                values[name] = "".join(shlex.split(value, comments=True))
            except ValueError:  # a shell construct over several lines: not one of those we look for
                continue
    return values


def arguments(default_grub: str, devices: Devices, subvolume: str = "") -> tuple[str, ...]:
    """The arguments for a plain grub.cfg: the root, and those of /etc/default/grub (consoles, quiet)."""
    values = defaults(default_grub)
    words = [word for name in _CMDLINE for word in values.get(name, "").split()]
    kept = [word for word in kernel_arguments.rewrite(words, devices) if not _is_own(word)]
    root = devices.root
    volume = f"rd.lvm.lv={root.group}/{root.name}"
    return (
        f"root={root.root_name}",
        "ro",
        *([f"rootflags=subvol={subvolume}"] if subvolume else []),
        *([volume] if root.group and volume not in kept else []),
        *kept,
    )


def _is_own(word: str) -> bool:
    return any(word == own or (own.endswith("=") and word.startswith(own)) for own in _OWN_ARGUMENTS)


def plain(title: str, kernels: Sequence[Kernel], view: View, words: Iterable[str]) -> str:
    """A grub.cfg with one entry for each kernel, the newest first and the default."""
    lines = [
        "# Written by dtesx for the replica; update-grub or grub2-mkconfig replaces it.",
        f"set timeout={_TIMEOUT}",
        "set default=0",
        *(["insmod lvm"] if view.boot.group else []),
        f"insmod {fs_module(view.boot.fs_type)}",
        *view.search(),
        "",
    ]
    command_line = " ".join(words)
    for kernel in kernels:
        lines += [
            f"menuentry '{title}, Linux {kernel.version}' {{",
            f"\tlinux {view.seen(kernel.image)} {command_line}",
            *([f"\tinitrd {view.seen(kernel.initrd)}"] if kernel.initrd else []),
            "}",
        ]
    return "\n".join(lines) + "\n"


def fs_module(fs_type: str) -> str:
    """GRUB's module for a file system."""
    return {"ext3": "ext2", "ext4": "ext2", "vfat": "fat"}.get(fs_type, fs_type)
