"""GRUB's menu on the replica, and GRUB for BIOS: modules, core image, boot code."""

from __future__ import annotations

from collections.abc import Sequence

from dtesx.boot import boot_code, entries, fstab, grub_config, grub_image, kernels
from dtesx.boot.grub_config import View
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

_DEFAULTS = "/etc/default/grub"
_MORE_DEFAULTS = "/etc/default/grub.d"


def install_bios(replica: Replica) -> Sequence[str]:
    """Make the replica's first disk start by BIOS. Raises DtesxError when GRUB's files are nowhere."""
    where = directory(replica.tree)
    found = grub_image.modules(replica.tree, grub_image.BIOS)
    changes = []
    if grub_image.copy_modules(replica.tree, found, where):
        changes.append(f"GRUB modules copied to {where}/{found.platform.name}")
    replica.tree.sync("/boot")
    view = grub_image.view(replica, suse=found.suse)
    changes += fix_menu(replica, f"{where}/grub.cfg", view, entries_readable=found.entries)
    core = grub_image.core_image(replica, found, where)
    boot_image = (found.directory / "boot.img").read_bytes()
    if boot_code.install(replica.system_disk, replica.layout.disks[0], boot_image, core):
        changes.append("GRUB for BIOS installed on the first disk")
    return changes


def directory(tree: Tree) -> str:
    """Where the distribution keeps grub.cfg."""
    return "/boot/grub2" if tree.is_directory("/boot/grub2") else "/boot/grub"


def fix_menu(replica: Replica, path: str, view: View, *, entries_readable: bool) -> Sequence[str]:
    """Have the menu start the replica: its own with the replica's devices, or a plain one.

    ``entries_readable``: this GRUB reads boot loader entries (Red Hat's does).
    """
    tree, devices = replica.tree, replica.devices
    changes = [*entries.fix(replica), *_fix_defaults(replica)]
    own = grub_config.repaired(tree.text(path), devices)
    if menu_fits(replica, own, entries_readable=entries_readable):
        if tree.write(path, own):
            changes.append(f"{path}: kernel arguments corrected")
        return changes
    subvolume = fstab.subvolume(tree.text(fstab.FSTAB), devices.root)
    words = grub_config.arguments(tree.text(_DEFAULTS), devices, subvolume)
    if tree.write(path, grub_config.plain(_title(tree), kernels.installed(tree), view, words)):
        changes.append(f"{path} written for the replica's disks")
    return changes


def _fix_defaults(replica: Replica) -> Sequence[str]:
    """Of these the distribution's tools make the next grub.cfg."""
    tree = replica.tree
    more = (f"{_MORE_DEFAULTS}/{name}" for name in tree.names(_MORE_DEFAULTS) if name.endswith(".cfg"))
    return [
        f"{path}: kernel arguments corrected"
        for path in (_DEFAULTS, *more)
        if tree.is_file(path)
        and tree.write(path, grub_config.repaired_defaults(tree.text(path), replica.devices))
    ]


def menu_fits(replica: Replica, text: str, *, entries_readable: bool) -> bool:
    """Whether a grub.cfg, after ``repaired``, starts the replica."""
    known = {volume.uuid for volume in replica.file_systems}
    images = [kernel.image.rsplit("/", 1)[-1] for kernel in kernels.installed(replica.tree)]
    usable = entries_readable and entries.usable(replica.tree, images)
    return grub_config.fits(text, replica.devices, known, images, entries=usable)


def _title(tree: Tree) -> str:
    pretty = grub_config.defaults(tree.text("/etc/os-release")).get("PRETTY_NAME", "Linux")
    return pretty.replace("'", "")
