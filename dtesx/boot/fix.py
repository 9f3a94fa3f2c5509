"""The fix-ups in their order. Each is repeatable; the boot code, without which nothing starts, is last."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dtesx.base.errors import DtesxError, TargetFull
from dtesx.base.log import get_logger
from dtesx.boot import esp, fstab, grub, identity, initramfs, lost, resume, selinux
from dtesx.boot.network import fix as network
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree
from dtesx.model.inventory import Firmware
from dtesx.model.layout import Layout
from dtesx.model.wiring import Wiring

log = get_logger(__name__)

Step = Callable[[Replica], Sequence[str]]
"""A fix-up: changes the replica, returns one sentence for each change, none when all was right."""

LOADERS: Mapping[Firmware, Step] = {Firmware.BIOS: grub.install_bios, Firmware.UEFI: esp.install_uefi}


def make_bootable(
    root: Path,
    layout: Layout,
    system_disk: Path,
    wiring: Wiring,
    *,
    hostname: str = "",
) -> tuple[str, ...]:
    """Make the tree mounted at ``root`` start as a virtual machine of this layout.

    ``system_disk`` is the device or file of disk 0; ``wiring`` tells what the replica's network
    cards are called and which addresses change; an empty ``hostname`` keeps the source's. Runs no
    program of the replica. Everything is durable on return, and repeating it changes nothing.
    Returns sentences that say what was changed. Raises DtesxError when the replica could not start.
    """
    replica = Replica(Tree(root), layout, system_disk, wiring, hostname)
    changes: list[str] = []
    for name, step in steps(layout.firmware):
        made = _run(name, step, replica)
        log.info("boot fix-up", step=name, changes=len(made))
        changes += made
    for volume in replica.file_systems:
        replica.tree.sync(volume.mount_point)
    return tuple(changes)


def _run(name: str, step: Step, replica: Replica) -> tuple[str, ...]:
    try:
        return tuple(step(replica))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TargetFull(
                f"no space left on the replica while fixing its {name}",
                hint="free some space on the source's / or /boot (old kernels), mirror again, then fail over",
            ) from error
        raise DtesxError(
            f"the replica's {name} cannot be fixed: {error}",
            hint="check the replica's disk and the kernel log (dmesg), then try again",
        ) from error


def steps(firmware: Firmware) -> tuple[tuple[str, Step], ...]:
    """The named fix-ups for a firmware, in order."""
    return (
        ("fstab", fstab.fix),
        ("encryption and arrays", lost.fix),
        ("host name", identity.fix_hostname),
        ("cloud-init", identity.keep_instance),
        ("network", network.fix),
        ("resume device", resume.fix),
        ("initramfs", initramfs.fix),
        ("SELinux", selinux.fix),
        ("boot loader", LOADERS[firmware]),
    )
