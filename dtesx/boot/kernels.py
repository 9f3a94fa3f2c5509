"""The kernels installed in a replica, with their initramfs files and modules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtesx.boot.tree import Tree

_IMAGES = ("vmlinuz-", "vmlinux-")
# Debian and Ubuntu; Fedora and RHEL; SUSE; Arch.
_INITRDS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}", "initrd-{}.img")
_SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


@dataclass(frozen=True)
class Kernel:
    """One kernel: paths are the replica's; ``initrd`` and ``modules`` are "" where there are none."""

    version: str
    image: str
    initrd: str
    modules: str


def installed(tree: Tree) -> tuple[Kernel, ...]:
    """The kernels in /boot, the newest version first."""
    names = tree.names("/boot")
    found = [
        _kernel(tree, name, name.removeprefix(prefix), names)
        for name in names
        for prefix in _IMAGES
        # SUSE's vmlinux-*.gz beside it is for debuggers.
        if name.startswith(prefix) and not name.endswith(".gz")
    ]
    return tuple(sorted(found, key=lambda kernel: version_key(kernel.version), reverse=True))


def _kernel(tree: Tree, image: str, version: str, names: tuple[str, ...]) -> Kernel:
    initrds = [pattern.format(version) for pattern in _INITRDS]
    initrd = next((f"/boot/{name}" for name in initrds if name in names), "")
    modules = f"/lib/modules/{version}"
    return Kernel(version, f"/boot/{image}", initrd, modules if tree.is_directory(modules) else "")


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key: numbers as numbers, release candidates before the release."""
    parts = re.findall(r"\d+|[a-z]+|~", version.lower())
    key = tuple((1, int(part), "") if part.isdigit() else _word(part) for part in parts)
    return (*key, (0, 0, ""))  # the end sorts behind "rc" and before everything else


def _word(part: str) -> tuple[int, int, str]:
    return (-1, 0, part) if part in ("~", "rc") else (0, 0, part)


def module_name(path: str) -> str:
    """The kernel's name of a module file: no directory, no suffix, underscores."""
    name = path.rsplit("/", 1)[-1]
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix).replace("-", "_")
    return ""


def plain_name(path: str) -> str:
    """A module's path without the suffix of its compression."""
    return path[: path.rindex(".ko") + len(".ko")]


def parse_dependencies(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """modules.dep(5): module name -> its path and the paths it needs, below the modules directory."""
    found = {}
    for line in text.splitlines():
        path, _, needed = line.partition(":")
        found[module_name(path)] = (path, tuple(needed.split()))
    return found


def parse_builtin(text: str) -> frozenset[str]:
    """modules.builtin: the names of what is compiled into the kernel."""
    return frozenset(module_name(line) for line in text.split())
