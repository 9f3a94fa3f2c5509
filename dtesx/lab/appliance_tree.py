"""The file system of a guest with all tools of storage: the appliance is one, servers with volumes are.

A plain Debian 12 with LVM, RAID, every file system and GRUB for BIOS and UEFI. Drivers that no emulated
machine has are left out: they are most of a kernel's size. dtesx itself is put in when a lab copies it.
"""

from __future__ import annotations

from pathlib import Path

from dtesx.lab import debian, recipe, rootfs
from dtesx.lab.debian import BaseTree, Progress
from dtesx.lab.tree import write

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "linux-image-amd64", "initramfs-tools", "zstd", "cpio"),
    *("ifupdown", "iproute2", "openssh-server", "python3"),
    *("lvm2", "mdadm", "fdisk", "gdisk", "e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "acl", "attr"),
    *(
        "grub-common",
        "grub2-common",
        "grub-pc-bin",
        "grub-efi-amd64-bin",
        "grub-efi-amd64-signed",
        "shim-signed",
    ),
)

_DRIVERS = (
    *("gpu", "media", "infiniband", "isdn", "staging", "iio", "hwmon", "bluetooth", "nfc", "thunderbolt"),
    *("usb", "input/touchscreen", "input/joystick", "comedi", "mtd", "edac", "platform", "crypto/qat"),
    *("net/wireless", "net/can", "net/usb", "net/wwan", "net/fddi", "net/hamradio", "net/ethernet"),
)
_EXCLUDES = (
    *recipe.PATH_EXCLUDES,
    *(f"/lib/modules/*/kernel/drivers/{drivers}/*" for drivers in _DRIVERS),
    *("/lib/modules/*/kernel/sound/*", "/lib/modules/*/kernel/net/wireless/*"),
)

# QEMU gives no disk VMware's identifier of 128 bits, so the lab puts it into the serial number.
_DISK_RULES = "".join(
    f'SUBSYSTEM=="block", ENV{{DEVTYPE}}=="{kind}", ENV{{ID_SCSI_SERIAL}}=="6000c29*", '
    f'SYMLINK+="disk/by-id/wwn-0x$env{{ID_SCSI_SERIAL}}{suffix}"\n'
    for kind, suffix in (("disk", ""), ("partition", "-part%n"))
)


def appliance_tree(cache: Path, progress: Progress) -> BaseTree:
    """The tree, built when the cache lacks it (1 to 3 minutes, about 0.7 GB)."""
    return debian.built(cache, _recipe(), progress)


def _recipe() -> debian.Recipe:
    return debian.Recipe(
        name="appliance",
        label="appliance-root",
        packages=PACKAGES,
        excludes=_EXCLUDES,
        includes=recipe.PATH_INCLUDES,
        configure=_configure,
        decided_by=(__file__, recipe.__file__),
    )


def _configure(tree: rootfs.MountedTree) -> None:
    root = tree.root
    write(root, "/etc/fstab", f"UUID={tree.uuid} / ext4 errors=remount-ro 0 1\n")
    write(root, "/etc/resolv.conf", "")
    write(root, "/etc/udev/rules.d/61-lab-disks.rules", _DISK_RULES)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    masked = (*recipe.MASKED_UNITS, "getty@tty1.service", "mdmonitor.service", "mdcheck_start.timer")
    rootfs.run_in_tree(
        tree,
        f"usermod --password '*' root\nsystemctl --quiet mask {' '.join(masked)}\n",
    )
