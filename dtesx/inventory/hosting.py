"""What guards the machine and what it hosts: SELinux, AppArmor, container engines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dtesx.model.inventory import ContainerEngine, Containers, Security, SelinuxMode

# Where an engine keeps its data, and what there is one of for each container.
_ENGINES: Sequence[tuple[ContainerEngine, str, str]] = (
    (ContainerEngine.DOCKER, "var/lib/docker", "containers/*/config.v2.json"),
    (ContainerEngine.PODMAN, "var/lib/containers/storage", "overlay-containers/*/userdata"),
    (ContainerEngine.CONTAINERD, "var/lib/containerd", "io.containerd.runtime.v2.task/*/*"),
    (ContainerEngine.LXC, "var/lib/lxc", "*/config"),
    (ContainerEngine.LXD, "var/lib/lxd", "containers/*"),
    (ContainerEngine.LXD, "var/snap/lxd/common/lxd", "containers/*"),
)


def find_security(root: Path) -> Security:
    """Mandatory access control as the running kernel has it."""
    enforce = root / "sys/fs/selinux/enforce"
    if not enforce.is_file():
        mode = SelinuxMode.NONE
    else:
        mode = SelinuxMode.ENFORCING if enforce.read_text().strip() == "1" else SelinuxMode.PERMISSIVE
    return Security(mode, _policy(root) if mode is not SelinuxMode.NONE else "", _profiles(root))


def _policy(root: Path) -> str:
    config = root / "etc/selinux/config"
    text = config.read_text(errors="replace") if config.is_file() else ""
    found = re.search(r"^\s*SELINUXTYPE=(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _profiles(root: Path) -> int:
    loaded = root / "sys/kernel/security/apparmor/profiles"
    try:
        return len(loaded.read_text(errors="replace").splitlines())
    except OSError:  # no AppArmor in this kernel, or switched off
        return 0


def find_containers(root: Path) -> tuple[Containers, ...]:
    """The container engines that have data below the root, with or without containers."""
    return tuple(
        Containers(engine, f"/{directory}", sum(1 for _ in (root / directory).glob(pattern)))
        for engine, directory, pattern in _ENGINES
        if (root / directory).is_dir()
    )
