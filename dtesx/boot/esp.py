"""Start by UEFI: EFI/BOOT/BOOTX64.EFI, which firmware tries when it knows no entry, leads to GRUB.

The firmware's entries (NVRAM) do not travel. What is put at that path is the distribution's own signed shim,
so that Secure Boot holds; where the source has none, a GRUB made for the replica. Files that belong together:

- shim starts the GRUB beside it. From EFI/BOOT it starts ``fbx64.efi`` (SUSE: ``fallback.efi``) instead where
  that is there, which makes an entry of each ``EFI/*/BOOTX64.CSV`` (SUSE: ``boot.csv``) and starts the first
  (shim's README.fallback).
- Signed GRUBs look for grub.cfg in a directory that is compiled in (EFI/debian, EFI/ubuntu, EFI/redhat,
  EFI/rocky, ...), SUSE's in the one that it was started from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dtesx.base.errors import DtesxError
from dtesx.boot import grub, grub_config, grub_image
from dtesx.boot.grub_config import View
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

REMOVABLE = "BOOTX64.EFI"
_SHIMS = ("shimx64.efi", "shim.efi")
_GRUBS = ("grubx64.efi", "grub.efi")
_MANAGERS = ("mmx64.efi", "MokManager.efi")
_FALLBACKS = ("fbx64.efi", "fallback.efi")
_LISTS = ("BOOTX64.CSV", "boot.csv")
_MENU = re.compile(r"^[ \t]*(?:menuentry|blscfg)\b", re.MULTILINE)
_ROOT_ONLY = "--root-dev-only"


@dataclass(frozen=True)
class Vendor:
    """A distribution's directory on the ESP; the files are names in it, "" for none."""

    directory: str
    grub: str
    shim: str = ""
    manager: str = ""
    boot_list: str = ""
    config: str = ""


def install_uefi(replica: Replica) -> Sequence[str]:
    """Make the replica start by UEFI from any firmware. Raises DtesxError when nothing can be made."""
    vendor = find_vendor(replica)
    if vendor is None or not vendor.shim:
        return _install_own(replica)
    # Signed GRUBs have all that they read compiled in; whether blscfg is among it tells who wrote the menu.
    suse = vendor.grub == "grub.efi"
    view = grub_image.view(replica, suse=suse)
    changes = list(_fix_config(replica, vendor, view))
    return [*changes, *_lead_to(replica, vendor)]


def find_vendor(replica: Replica) -> Vendor | None:
    """The directory of the replica's own GRUB: one that leads to its /boot, else the first with a shim."""
    tree, top = replica.tree, firmware_directory(replica)
    found = [
        vendor
        for name in tree.names(top)
        if name.upper() != "BOOT" and (vendor := _vendor(tree, f"{top}/{name}")) is not None
    ]
    uuid = replica.boot.uuid

    def rank(vendor: Vendor) -> tuple[bool, bool]:
        leads = bool(vendor.config) and uuid in tree.text(f"{vendor.directory}/{vendor.config}")
        return (not leads, not vendor.shim)

    return min(found, key=rank, default=None)


def _vendor(tree: Tree, directory: str) -> Vendor | None:
    second = _present(tree, directory, _GRUBS)
    if not second:
        return None
    return Vendor(
        directory,
        second,
        shim=_present(tree, directory, _SHIMS),
        manager=_present(tree, directory, _MANAGERS),
        boot_list=_present(tree, directory, _LISTS),
        config=_present(tree, directory, ("grub.cfg",)),
    )


def firmware_directory(replica: Replica) -> str:
    """The directory EFI of the ESP. Raises DtesxError when the layout has no ESP."""
    if replica.esp is None:
        raise DtesxError(
            "the replica has no EFI system partition",
            hint="delete the job with its replica and create it again",
        )
    top = replica.esp.mount_point
    return f"{top}/{_present(replica.tree, top, ('EFI',)) or 'EFI'}"


def removable_directory(replica: Replica) -> str:
    """Where firmware without entries looks."""
    top = firmware_directory(replica)
    return f"{top}/{_present(replica.tree, top, ('BOOT',)) or 'BOOT'}"


def _present(tree: Tree, directory: str, names: Sequence[str]) -> str:
    """The first of the names that is there, as it is spelled there: FAT does not tell cases apart."""
    spelled = {name.lower(): name for name in tree.names(directory)}
    return next((spelled[name.lower()] for name in names if name.lower() in spelled), "")


def _fix_config(replica: Replica, vendor: Vendor, view: View) -> Sequence[str]:
    """The grub.cfg beside GRUB is the menu itself (Red Hat 8), or leads to the one in /boot."""
    tree, where = replica.tree, grub.directory(replica.tree)
    path = f"{vendor.directory}/{vendor.config or 'grub.cfg'}"
    menu = menu_path(tree, vendor)
    changes = list(grub.fix_menu(replica, menu, view, entries_readable=True))
    if menu != path and not leads(replica, tree.text(path)) and tree.write(path, stub(view, where)):
        changes.append(f"{path} written: it leads to {where}/grub.cfg")
    return changes


def menu_path(tree: Tree, vendor: Vendor) -> str:
    """The grub.cfg with the menu that the vendor's GRUB shows."""
    path = f"{vendor.directory}/{vendor.config}"
    own = bool(vendor.config) and bool(_MENU.search(tree.text(path)))
    return path if own else f"{grub.directory(tree)}/grub.cfg"


def leads(replica: Replica, text: str) -> bool:
    """Whether a grub.cfg on the ESP finds the replica's /boot, also when that is on another disk."""
    elsewhere = replica.esp is not None and replica.esp.disk != replica.boot.disk
    return grub_config.searched(text) == [replica.boot.uuid] and not (_ROOT_ONLY in text and elsewhere)


def stub(view: View, directory: str) -> str:
    """A grub.cfg that goes on with the one in /boot (pure)."""
    lines = [
        "# Written by dtesx for the replica.",
        *view.search(),
        f"set prefix=($root){view.seen(directory)}",
        "configfile $prefix/grub.cfg",
    ]
    return "\n".join(lines) + "\n"


def _lead_to(replica: Replica, vendor: Vendor) -> Sequence[str]:
    """Put the vendor's shim at the removable path, with what it goes on with."""
    tree, where = replica.tree, removable_directory(replica)
    if _present(tree, where, _FALLBACKS):
        copied = {vendor.shim: REMOVABLE}
        listed = _list_entry(tree, vendor)
    else:
        beside = (vendor.grub, vendor.manager, "grub.cfg")
        copied = {vendor.shim: REMOVABLE, **{name: name for name in beside if name}}
        listed = False
    written = [
        name
        for source, name in copied.items()
        if tree.write(
            f"{where}/{_present(tree, where, (name,)) or name}", tree.read(f"{vendor.directory}/{source}")
        )
    ]
    changes = [f"{where}: {', '.join(written)} of {vendor.directory}"] if written else []
    return [*changes, f"{vendor.directory}: {_LISTS[0]} written"] if listed else changes


def _list_entry(tree: Tree, vendor: Vendor) -> bool:
    """Tell the fallback program what to start: UTF-16, "file,name,arguments,comment"."""
    if vendor.boot_list:
        return False
    name = vendor.directory.rsplit("/", 1)[-1]
    line = f"{vendor.shim},{name},,Start {name}\n"
    return tree.write(f"{vendor.directory}/{_LISTS[0]}", b"\xff\xfe" + line.encode("utf-16-le"))


def _install_own(replica: Replica) -> Sequence[str]:
    """A GRUB made for the replica, which no key signs."""
    tree, directory = replica.tree, grub.directory(replica.tree)
    found = grub_image.modules(tree, grub_image.UEFI)
    changes = []
    if grub_image.copy_modules(tree, found, directory):
        changes.append(f"GRUB modules copied to {directory}/{found.platform.name}")
    view = grub_image.view(replica, suse=found.suse)
    changes += grub.fix_menu(replica, f"{directory}/grub.cfg", view, entries_readable=found.entries)
    where = removable_directory(replica)
    path = f"{where}/{_present(tree, where, (REMOVABLE,)) or REMOVABLE}"
    if tree.write(path, grub_image.core_image(replica, found, directory)):
        changes.append(f"GRUB for UEFI installed as {path}")
    return changes
