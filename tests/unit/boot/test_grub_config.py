from __future__ import annotations

import pytest

from dtesx.boot.grub_config import arguments, fits, plain, seen
from dtesx.boot.kernels import Kernel
from dtesx.model.layout import MIB, Partition, PartitionRole

ROOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, MIB, "ext4", "u-root", "system", "/")
BOOT = Partition(3, PartitionRole.FILE_SYSTEM, 3 * MIB, MIB, "xfs", "u-boot", "", "/boot")
NEW = Kernel("6.1.0-2", "/boot/vmlinuz-6.1.0-2", "/boot/initrd.img-6.1.0-2", "/lib/modules/6.1.0-2")
OLD = Kernel("6.1.0-1", "/boot/vmlinuz-6.1.0-1", "", "/lib/modules/6.1.0-1")

CONFIG = """
if [ x$feature_platform_search_hint = xy ]; then
  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1  u-root
else
  search --no-floppy --fs-uuid --set=root u-root
fi
menuentry 'Debian' {
\tlinux\t/boot/vmlinuz-6.1.0-2 root=UUID=u-root ro resume=UUID=u-swap quiet
\tinitrd\t/boot/initrd.img-6.1.0-2
}
"""


def fit(text: str) -> bool:
    return fits(text, ROOT, {"u-root"}, {"u-swap"}, {"vmlinuz-6.1.0-2"})


def test_a_config_by_uuid_is_kept() -> None:
    assert fit(CONFIG)
    assert fit(CONFIG.replace("root=UUID=u-root", "root=LABEL=system"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("root=UUID=u-root", "root=/dev/sda1"),
        ("root=UUID=u-root", "root=UUID=gone"),
        ("root=UUID=u-root", ""),
        ("--set=root u-root", "--set=root gone"),
        ("hd0,msdos1  u-root", "hd0,msdos1  gone"),
        ("resume=UUID=u-swap", "resume=/dev/sda5"),
        ("/boot/vmlinuz-6.1.0-2", "/boot/vmlinuz-5.10"),
        ("\tlinux", "\tchainloader"),
        ("search", "echo"),
    ],
)
def test_a_config_that_would_not_start_is_not(old: str, new: str) -> None:
    assert old in CONFIG
    assert not fit(CONFIG.replace(old, new))


def test_one_bad_entry_spoils_the_config() -> None:
    assert not fit(CONFIG + "linux /boot/vmlinuz-6.1.0-2 root=/dev/sda1\n")


def test_no_config() -> None:
    assert not fit("")


def test_arguments_are_kept_but_for_what_names_devices() -> None:
    text = (
        "# GRUB_CMDLINE_LINUX=no\n"
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=UUID=u-swap"\n'
        "GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\n"
        "GRUB_BROKEN='\n"
        'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200 root=/dev/sda1 ro resume=/dev/sda2 rootwait"\n'
    )
    assert arguments(text, {"u-swap"}) == (
        *("console=tty0", "console=ttyS0,115200", "rootwait"),
        *("quiet", "resume=UUID=u-swap"),
    )
    assert arguments("", set()) == ()


def test_the_plain_config_fits_and_names_every_kernel() -> None:
    text = plain("Debian", (NEW, OLD), ROOT, ROOT, ("console=ttyS0",))
    assert fits(text, ROOT, {"u-root"}, set(), {"vmlinuz-6.1.0-2", "vmlinuz-6.1.0-1"})
    assert "linux /boot/vmlinuz-6.1.0-2 root=UUID=u-root ro console=ttyS0\n" in text
    assert text.index("6.1.0-2") < text.index("6.1.0-1")
    assert text.count("initrd ") == 1


def test_paths_count_from_a_separate_boot_file_system() -> None:
    text = plain("Debian", (NEW,), ROOT, BOOT, ())
    assert "insmod xfs" in text
    assert "--set=root u-boot" in text
    assert "linux /vmlinuz-6.1.0-2 root=UUID=u-root" in text
    assert "initrd /initrd.img-6.1.0-2" in text
    assert seen("/boot/grub", BOOT) == "/grub"
