"""grub.cfg: whether the source's own finds the replica's disks, and a plain one where it does not. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from dtesx.boot.kernels import Kernel
from dtesx.model.layout import Partition

_LINUX = re.compile(r"^[ \t]*linux(?:16|efi)?[ \t]+(\S+)(.*)$", re.MULTILINE)
_SEARCH = re.compile(r"^[ \t]*search[ \t].*--fs-uuid.*[ \t](\S+)[ \t]*$", re.MULTILINE)
_CMDLINE = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")
_OWN_ARGUMENTS = ("root=", "rootfstype=", "rootflags=", "BOOT_IMAGE=", "ro", "rw")
_TIMEOUT = 2


def fits(
    text: str, root: Partition, known: Collection[str], swaps: Collection[str], images: set[str]
) -> bool:
    """Whether a grub.cfg starts the replica as it is.

    Every entry must name the root file system by UUID or label and an installed kernel, every search
    a file system of the replica (``known`` UUIDs), every resume argument one of its swaps.
    """
    entries = _LINUX.findall(text)
    searches = _SEARCH.findall(text)
    if not entries or not searches or any(uuid not in known for uuid in searches):
        return False
    return all(
        image.rsplit("/", 1)[-1] in images and _arguments_fit(arguments.split(), root, swaps)
        for image, arguments in entries
    )


def _arguments_fit(arguments: Iterable[str], root: Partition, swaps: Collection[str]) -> bool:
    words = dict(word.split("=", 1) for word in arguments if "=" in word)
    roots = {f"UUID={root.uuid}"} | ({f"LABEL={root.label}"} if root.label else set())
    return words.get("root") in roots and _resumes(words.get("resume", ""), swaps)


def _resumes(value: str, swaps: Collection[str]) -> bool:
    return not value or value.removeprefix("UUID=") in swaps


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


def arguments(default_grub: str, swaps: Collection[str]) -> tuple[str, ...]:
    """The kernel arguments to keep from /etc/default/grub (consoles, tunables, quiet)."""
    values = defaults(default_grub)
    words = [word for name in _CMDLINE for word in values.get(name, "").split()]
    return tuple(word for word in words if not _is_own(word) and _resumes(_resume(word), swaps))


def _is_own(word: str) -> bool:
    return any(word == own or (own.endswith("=") and word.startswith(own)) for own in _OWN_ARGUMENTS)


def _resume(word: str) -> str:
    return word.removeprefix("resume=") if word.startswith("resume=") else ""


def plain(
    title: str, kernels: Sequence[Kernel], root: Partition, boot: Partition, words: Iterable[str]
) -> str:
    """A grub.cfg with one entry for each kernel, the newest first and the default."""
    lines = [
        "# Written by dtesx for the replica; update-grub or grub2-mkconfig replaces it.",
        f"set timeout={_TIMEOUT}",
        "set default=0",
        f"insmod {fs_module(boot.fs_type)}",
        f"search --no-floppy --fs-uuid --set=root {boot.uuid}",
        "",
    ]
    command_line = " ".join([f"root=UUID={root.uuid}", "ro", *words])
    for kernel in kernels:
        lines += [
            f"menuentry '{title}, Linux {kernel.version}' {{",
            f"\tlinux {seen(kernel.image, boot)} {command_line}",
            *([f"\tinitrd {seen(kernel.initrd, boot)}"] if kernel.initrd else []),
            "}",
        ]
    return "\n".join(lines) + "\n"


def seen(path: str, boot: Partition) -> str:
    """A path below /boot as GRUB sees it from the file system that holds it."""
    return path.removeprefix("/boot") if boot.mount_point == "/boot" else path


def fs_module(fs_type: str) -> str:
    """GRUB's module for a file system."""
    return "ext2" if fs_type in ("ext2", "ext3", "ext4") else fs_type
