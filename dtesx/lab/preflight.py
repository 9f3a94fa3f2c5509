"""What this host lacks for a lab, with the command that puts it right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from dtesx.base.errors import UsageError

# Program (or path) to the Debian 12 package that brings it.
NEEDS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-x86_64": "qemu-system-x86",
    "go": "golang-go",
    "/usr/share/gocode/src/github.com/vmware/govmomi": "golang-github-vmware-govmomi-dev",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "losetup": "mount",
    "sfdisk": "fdisk",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "ssh": "openssh-client",
    "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin",
    "grub-mkimage": "grub-common",
    "cpio": "cpio",
    "/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf",
    "depmod": "kmod",
}

# What the services that run in the lab's machines import (the extras source and appliance).
_MODULES = ("pyVmomi", "sqlalchemy", "starlette", "uvicorn", "zstandard")

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_packages() -> tuple[str, ...]:
    """The Debian packages that the lab needs and this host lacks."""
    return packages_for(need for need in NEEDS if not _present(need))


def packages_for(needs: Iterable[str]) -> tuple[str, ...]:
    """The packages that bring these programs, each once, sorted."""
    return tuple(sorted({NEEDS[need] for need in needs}))


def check() -> None:
    """Raise UsageError when this host cannot run a lab; the hint is the command that helps."""
    if os.geteuid() != 0:
        raise UsageError(
            "a lab needs root: it makes network namespaces and mounts file systems",
            hint="run it as root, or with sudo",
        )
    if missing := missing_packages():
        raise UsageError(
            f"the lab needs Debian packages that are not installed: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(missing)}",
        )
    if lacking := [name for name in _MODULES if find_spec(name) is None]:
        raise UsageError(
            f"the lab needs Python packages that are not installed: {', '.join(lacking)}",
            hint="pip install 'dtesx[lab]', into the environment that dtesx runs in",
        )
    for device in ("/dev/net/tun", "/dev/loop-control"):
        if not Path(device).exists():
            raise UsageError(
                f"this host has no {device}",
                hint="run the lab on a machine or a privileged container that has it",
            )


def _present(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else shutil.which(need, path=_PATH) is not None
