"""Would this replica start? Its tree is looked at, and nothing in it is changed.

Judged is what the fix-ups (``boot.fix``) will make of it: a driver that they can add is no finding. An error
means that the replica would not start, a warning that something on it would not be as on the source.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.boot import boot_code, drivers, esp, fstab, grub, grub_config, grub_image, initrd, kernels, lost
from dtesx.boot import selinux as labels
from dtesx.boot.kernels import Kernel
from dtesx.boot.network import files
from dtesx.boot.network.check import check as check_network
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree
from dtesx.model.inventory import Firmware
from dtesx.model.layout import Layout
from dtesx.model.validation import Check, Finding, Verdict, worst_first
from dtesx.model.wiring import Wiring

_NO_DEVICE = Path("/dev/null")
_PROGRAMS = {"depmod": "kmod", "grub-mkimage": "grub-common"}
_GUEST_TOOLS = ("/usr/bin/vmtoolsd", "/usr/sbin/vmtoolsd", "/usr/local/bin/vmtoolsd")


def check(places: Mapping[str, Path], layout: Layout, wiring: Wiring) -> tuple[Finding, ...]:
    """What a replica's file systems, mounted at these places by mount point, say about its start.

    Errors come first; whatever is in order is a finding, too.
    """
    replica = Replica(Tree(places["/"], places), layout, _NO_DEVICE, wiring)
    found = [finding for check_id, look in _LOOKS for finding in _looked(check_id, look, replica)]
    return worst_first(found)


def _looked(check_id: Check, look: Callable[[Replica], Iterator[Finding]], replica: Replica) -> list[Finding]:
    try:
        return list(look(replica))
    except DtesxError as error:
        return [Finding(check_id, Verdict.ERROR, error.message, error.hint)]
    except OSError as error:
        hint = "check the replica's disk and the kernel log of the appliance (dmesg)"
        return [Finding(check_id, Verdict.ERROR, f"the replica cannot be read: {error}", hint)]


def _kernels(replica: Replica) -> Iterator[Finding]:
    found = kernels.installed(replica.tree)
    if not found:
        raise DtesxError(
            "the replica has no kernel in /boot",
            hint="install a kernel package on the source (containers have none) and mirror again",
        )
    broken = [error for kernel in found if (error := _why_not(replica.tree, kernel)) is not None]
    if len(broken) == len(found):
        raise broken[0]
    for error in broken:
        yield Finding(Check.BOOT_KERNEL, Verdict.WARNING, error.message, error.hint)
    if not broken:
        text = (
            f"the replica's kernels have the drivers of its hardware, or get them ({found[0].version} first)"
        )
        yield Finding(Check.BOOT_KERNEL, Verdict.PASSED, text)


def _why_not(tree: Tree, kernel: Kernel) -> DtesxError | None:
    try:
        if kernel.initrd:
            drivers.obtainable(tree, kernel, initrd.read(tree.read(kernel.initrd)))
        else:
            drivers.check_builtin(tree, kernel)
    except DtesxError as error:
        error.message = f"kernel {kernel.version}: {error.message}"
        return error
    return None


def _devices(replica: Replica) -> Iterator[Finding]:
    tree = replica.tree
    old = tree.text(fstab.FSTAB)
    new, _ = fstab.rewrite(old, replica.file_systems, replica.swaps)
    gone = [line for line in lost.switched_off(old, new) if not fstab.is_optional(line)]
    for line in gone:
        yield Finding(
            Check.BOOT_DEVICES,
            Verdict.WARNING,
            f"{fstab.FSTAB}: the replica does not have what this line mounts: {' '.join(line.split())}",
            "protect it (workload.volumes), or expect the replica to start without it",
        )
    if not gone:
        yield Finding(Check.BOOT_DEVICES, Verdict.PASSED, f"the replica has what {fstab.FSTAB} mounts")


def _code(replica: Replica) -> Iterator[Finding]:
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise DtesxError(f"the appliance has no {program}", hint=f"install {package} on the appliance")
    if replica.layout.firmware is Firmware.BIOS:
        boot_code.boot_partition(replica.layout.disks[0])
        grub_image.modules(replica.tree, grub_image.BIOS)
        yield Finding(Check.BOOT_CODE, Verdict.PASSED, "GRUB for BIOS can be installed")
        return
    vendor = esp.find_vendor(replica)
    if vendor is not None and vendor.shim:
        text = f"UEFI starts {vendor.directory}/{vendor.shim}, which is signed"
    else:
        grub_image.modules(replica.tree, grub_image.UEFI)
        text = "GRUB for UEFI can be made; it is not signed, so Secure Boot must stay off"
    yield Finding(Check.BOOT_CODE, Verdict.PASSED, text)


def _menu(replica: Replica) -> Iterator[Finding]:
    tree = replica.tree
    path, readable = f"{grub.directory(tree)}/grub.cfg", True
    if replica.layout.firmware is Firmware.BIOS:
        readable = grub_image.modules(tree, grub_image.BIOS).entries
    elif (vendor := esp.find_vendor(replica)) is not None:
        path = esp.menu_path(tree, vendor)
    own = grub_config.repaired(tree.text(path), replica.devices)
    if grub.menu_fits(replica, own, entries_readable=readable):
        yield Finding(Check.BOOT_MENU, Verdict.PASSED, f"{path} finds the replica's disks")
    else:
        yield Finding(
            Check.BOOT_MENU,
            Verdict.WARNING,
            f"{path} does not fit the replica's disks; a plain menu of its kernels takes its place",
            "make the menu anew on the source (update-grub, grub2-mkconfig) and mirror again",
        )


def _labels(replica: Replica) -> Iterator[Finding]:
    if labels.unlabelled(replica.tree):
        yield Finding(
            Check.LABELS,
            Verdict.WARNING,
            "SELinux labels are missing: the replica relabels itself, and starts twice for that",
            "relabel the source (fixfiles onboot) and mirror again",
        )


def _guest_tools(replica: Replica) -> Iterator[Finding]:
    if not any(replica.tree.is_file(path) for path in _GUEST_TOOLS):
        yield Finding(
            Check.GUEST_TOOLS,
            Verdict.WARNING,
            "without open-vm-tools vSphere neither knows the replica's address nor can shut it down",
            "install open-vm-tools on the source; it does nothing there",
        )


def _network(replica: Replica) -> Iterator[Finding]:
    yield from check_network(files.read(replica.tree), replica.wiring)


_LOOKS: tuple[tuple[Check, Callable[[Replica], Iterator[Finding]]], ...] = (
    (Check.BOOT_KERNEL, _kernels),
    (Check.BOOT_DEVICES, _devices),
    (Check.BOOT_CODE, _code),
    (Check.BOOT_MENU, _menu),
    (Check.LABELS, _labels),
    (Check.GUEST_TOOLS, _guest_tools),
    (Check.NETWORK, _network),
)
