"""What starts a machine apart from its firmware: Secure Boot, boot loader, initramfs, kernels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dtesx.model.inventory import Boot, BootLoader, InitramfsTool

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_LOADERS: Sequence[tuple[BootLoader, tuple[str, ...]]] = (
    (BootLoader.GRUB, ("boot/grub/grub.cfg", "boot/grub2/grub.cfg", "boot/efi/EFI/*/grub.cfg")),
    (
        BootLoader.SYSTEMD_BOOT,
        ("boot/efi/EFI/systemd/*.efi", "efi/EFI/systemd/*.efi", "boot/EFI/systemd/*.efi"),
    ),
    (BootLoader.EXTLINUX, ("boot/extlinux/extlinux.conf", "boot/syslinux/syslinux.cfg")),
    (BootLoader.LILO, ("etc/lilo.conf",)),
)
# SUSE calls its way to dracut mkinitrd, and Debian can have dracut in place of its own.
_TOOLS: Sequence[tuple[InitramfsTool, tuple[str, ...]]] = (
    (InitramfsTool.DRACUT, ("usr/bin/dracut", "usr/sbin/dracut", "sbin/dracut")),
    (InitramfsTool.INITRAMFS_TOOLS, ("usr/sbin/mkinitramfs",)),
    (InitramfsTool.MKINITCPIO, ("usr/bin/mkinitcpio",)),
    (InitramfsTool.MKINITRD, ("sbin/mkinitrd", "usr/sbin/mkinitrd")),
)
_ENTRIES = ("boot/loader/entries/*.conf", "boot/efi/loader/entries/*.conf", "efi/loader/entries/*.conf")


def find_boot(root: Path) -> Boot:
    """What starts the machine whose root is there."""
    return Boot(
        secure=_secure(root / _SECURE_BOOT),
        loader=next((loader for loader, paths in _LOADERS if _any(root, paths)), BootLoader.UNKNOWN),
        entries=_any(root, _ENTRIES),
        initramfs=next((tool for tool, paths in _TOOLS if _any(root, paths)), InitramfsTool.UNKNOWN),
        arguments=_arguments(root / "proc/cmdline"),
        kernels=_kernels(root),
    )


def _any(root: Path, patterns: Sequence[str]) -> bool:
    return any(next(root.glob(pattern), None) is not None for pattern in patterns)


def _secure(variable: Path) -> bool:
    # Four bytes of attributes, then the value (UEFI specification, 3.3; kernel efivarfs).
    return variable.is_file() and variable.read_bytes()[4:5] == b"\x01"


def _arguments(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(errors="replace").split()) if path.is_file() else ()


def _kernels(root: Path) -> tuple[str, ...]:
    directories = {path.parent.name for path in root.glob("lib/modules/*/modules.dep")}
    return tuple(sorted(directories))
