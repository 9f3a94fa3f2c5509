from __future__ import annotations

import pytest

from dtesx.boot.arguments import Devices
from dtesx.boot.devices import Volume
from dtesx.boot.grub_config import View, arguments, fits, plain, repaired, repaired_defaults
from dtesx.boot.kernels import Kernel
from dtesx.model.layout import PartitionRole

ROOT = Volume(PartitionRole.FILE_SYSTEM, "ext4", "u-root", "system", "/")
BOOT = Volume(PartitionRole.FILE_SYSTEM, "xfs", "u-boot", "", "/boot")
SWAP = Volume(PartitionRole.SWAP, "swap", "u-swap")
DEVICES = Devices(ROOT, ROOT, (ROOT, SWAP), (SWAP,))
NO_SWAP = Devices(ROOT, ROOT, (ROOT,), ())
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
    return fits(text, DEVICES, {"u-root"}, {"vmlinuz-6.1.0-2"}, entries=False)


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
    assert arguments(text, DEVICES) == (
        *("root=UUID=u-root", "ro"),
        *("console=tty0", "console=ttyS0,115200", "resume=UUID=u-swap", "rootwait"),
        *("quiet", "resume=UUID=u-swap"),
    )
    assert arguments("", NO_SWAP, "@") == ("root=UUID=u-root", "ro", "rootflags=subvol=@")


def test_the_plain_config_fits_and_names_every_kernel() -> None:
    text = plain("Debian", (NEW, OLD), View(ROOT), ("root=UUID=u-root", "ro", "console=ttyS0"))
    assert fits(text, NO_SWAP, {"u-root"}, {"vmlinuz-6.1.0-2", "vmlinuz-6.1.0-1"}, entries=False)
    assert "linux /boot/vmlinuz-6.1.0-2 root=UUID=u-root ro console=ttyS0\n" in text
    assert text.index("6.1.0-2") < text.index("6.1.0-1")
    assert text.count("initrd ") == 1


def test_paths_count_from_a_separate_boot_file_system() -> None:
    view = View(BOOT)
    text = plain("Debian", (NEW,), view, ("root=UUID=u-root",))
    assert "insmod xfs" in text
    assert "--set=root u-boot" in text
    assert "linux /vmlinuz-6.1.0-2 root=UUID=u-root" in text
    assert "initrd /initrd.img-6.1.0-2" in text
    assert view.seen("/boot/grub") == "/grub"


@pytest.mark.parametrize(
    ("view", "seen"),
    [
        (View(ROOT, "@"), "/@/boot/grub"),
        (View(ROOT, "/@rootfs"), "/@rootfs/boot/grub"),
        (View(ROOT, relative=True), "/boot/grub"),
        (View(BOOT, "@boot"), "/@boot/grub"),
    ],
)
def test_paths_count_from_the_top_of_btrfs_but_for_suse(view: View, seen: str) -> None:
    assert view.seen("/boot/grub") == seen
    assert ('btrfs_relative_path="y"' in "".join(view.search())) == view.relative


def test_arguments_of_a_config_are_mended_in_place() -> None:
    broken = CONFIG.replace("root=UUID=u-root", "root=/dev/sda1").replace("UUID=u-swap", "/dev/sda5")
    assert repaired(broken, DEVICES) == CONFIG
    assert repaired(CONFIG, DEVICES) == CONFIG
    shared = 'set kernelopts="root=/dev/sda1 ro rd.luks.uuid=luks-1 quiet"\n'
    assert repaired(shared, DEVICES) == 'set kernelopts="root=UUID=u-root ro quiet"\n'
    assert repaired("set root='hd0,msdos1'\n", DEVICES) == "set root='hd0,msdos1'\n"


def test_memory_tests_are_no_linux() -> None:
    assert fit(CONFIG + "menuentry 'Memory test' {\n\tlinux16 /boot/memtest86+.bin console=ttyS0\n}\n")


def test_entries_in_files_need_a_grub_that_reads_them() -> None:
    text = "search --no-floppy --fs-uuid --set=boot u-root\ninsmod blscfg\nblscfg\n"
    assert fits(text, DEVICES, {"u-root"}, (), entries=True)
    assert not fits(text, DEVICES, {"u-root"}, (), entries=False)
    assert not fits(text.replace("blscfg", ""), DEVICES, {"u-root"}, (), entries=True)


def test_defaults_name_the_replicas_devices() -> None:
    text = (
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sda5"\n'
        "GRUB_FORCE_PARTUUID=9b3f-11\n"
        "GRUB_TIMEOUT=0 # root=/dev/sda1\n"
    )
    new = repaired_defaults(text, DEVICES)
    assert new.splitlines() == [
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=UUID=u-swap"',
        "# not on this machine (dtesx): GRUB_FORCE_PARTUUID=9b3f-11",
        "GRUB_TIMEOUT=0 # root=/dev/sda1",
    ]
    assert repaired_defaults(new, DEVICES) == new
