"""The trees of Debian, Ubuntu, Red Hat's and SUSE's distributions, for BIOS and for UEFI."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.boot import cpio
from dtesx.model.inventory import Firmware
from dtesx.model.layout import Subvolume
from tests.unit.boot.golden import (
    BOOT,
    LUKS,
    ROOT,
    SWAP,
    Golden,
    efi_fstab,
    removable,
    signed,
    system_layout,
)

_BOTH = (Firmware.BIOS, Firmware.UEFI)


def _loader_changes(firmware: Firmware, directory: str) -> frozenset[str]:
    """What is copied for BIOS beside the boot code: GRUB's modules."""
    names = (
        ("normal.mod", "moddep.lst", "blscfg.mod") if directory == "grub2" else ("normal.mod", "moddep.lst")
    )
    if firmware is Firmware.UEFI:
        return frozenset()
    return frozenset(f"/boot/{directory}/i386-pc/{name}" for name in names)


def debian() -> Iterator[Golden]:
    """ext4 on partitions; UEFI without anything at the removable path, as Debian leaves it."""
    for release, kernel, packing in (
        ("11", "5.10.0-28-amd64", "gzip"),
        ("12", "6.1.0-18-amd64", "zstd"),
        ("13", "6.12.38+deb13-amd64", "zstd"),
    ):
        for firmware in _BOTH:
            uefi = firmware is Firmware.UEFI
            stub = (
                f"search.fs_uuid {ROOT} root hd0,gpt2 \n"
                "set prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
            )
            beside = ("BOOTX64.EFI", "grubx64.efi", "mmx64.efi", "grub.cfg")
            yield Golden(
                f"debian {release} {firmware}",
                system_layout(firmware),
                kernel,
                f"/boot/initrd.img-{kernel}",
                {
                    "/etc/os-release": f'ID=debian\nPRETTY_NAME="Debian GNU/Linux {release}"\n',
                    "/etc/fstab": f"UUID={ROOT} / ext4 errors=remount-ro 0 1\n"
                    f"UUID={SWAP} none swap sw 0 0\n{efi_fstab(firmware)}",
                    "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n',
                    "/boot/grub/grub.cfg": _debian_menu(kernel, "/boot", ROOT, f"UUID={ROOT}"),
                    "/boot/grub/device.map": "(hd0)\t/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001\n",
                    **(signed("debian", stub) if uefi else {}),
                },
                packing=packing,
                changes=_loader_changes(firmware, "grub")
                | {"/boot/grub/device.map"}
                | ({f"/boot/efi/EFI/BOOT/{name}" for name in beside} if uefi else set()),
            )


def _debian_menu(kernel: str, top: str, searched: str, root: str, arguments: str = "ro  quiet") -> str:
    return f"""set default="0"
insmod part_gpt
search --no-floppy --fs-uuid --set=root {searched}
menuentry 'Linux' --class gnu-linux {{
\tif [ x$feature_platform_search_hint = xy ]; then
\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2  {searched}
\telse
\t  search --no-floppy --fs-uuid --set=root {searched}
\tfi
\tlinux\t{top}/vmlinuz-{kernel} root={root} {arguments}
\tinitrd\t{top}/initrd.img-{kernel}
}}
menuentry 'Memory test' {{
\tlinux16 {top}/memtest86+.bin
}}
"""


def debian_btrfs() -> Iterator[Golden]:
    """Debian's installer puts the root of btrfs into the subvolume @rootfs."""
    kernel = "6.12.38+deb13-amd64"
    yield Golden(
        "debian 13 btrfs",
        system_layout(Firmware.BIOS, root="btrfs", subvolumes=(Subvolume("@rootfs", "/"),)),
        kernel,
        f"/boot/initrd.img-{kernel}",
        {
            "/etc/fstab": f"UUID={ROOT} / btrfs defaults,subvol=@rootfs 0 0\nUUID={SWAP} none swap sw 0 0\n",
            "/boot/grub/grub.cfg": _debian_menu(
                kernel, "/@rootfs/boot", ROOT, f"UUID={ROOT}", "ro rootflags=subvol=@rootfs quiet"
            ),
        },
        packing="zstd",
        changes=_loader_changes(Firmware.BIOS, "grub"),
    )


def ubuntu() -> Iterator[Golden]:
    """The server's default: everything but /boot in a group whose names have hyphens."""
    for release, kernel, packing in (
        ("20.04", "5.4.0-172-generic", "lz4"),
        ("22.04", "5.15.0-101-generic", "zstd"),
        ("24.04", "6.8.0-31-generic", "zstd"),
    ):
        for firmware in _BOTH:
            stub = f"search.fs_uuid {BOOT} root hd0,gpt2 \nset prefix=($root)'/grub'\n"
            uefi = {**signed("ubuntu", stub + "configfile $prefix/grub.cfg\n"), **removable("ubuntu")}
            root = "/dev/mapper/ubuntu--vg-ubuntu--lv"
            yield Golden(
                f"ubuntu {release} {firmware}",
                system_layout(firmware, boot="ext4", group="ubuntu-vg", volumes=("ubuntu-lv", "swap-lv")),
                kernel,
                f"/boot/initrd.img-{kernel}",
                {
                    "/etc/fstab": "# / was on /dev/ubuntu-vg/ubuntu-lv during curtin installation\n"
                    f"/dev/disk/by-id/dm-uuid-LVM-Zz9 / ext4 defaults 0 1\n"
                    f"/dev/disk/by-uuid/{BOOT} /boot ext4 defaults 0 1\n"
                    f"/dev/ubuntu-vg/swap-lv none swap sw 0 0\n{efi_fstab(firmware)}",
                    "/boot/grub/grub.cfg": _debian_menu(kernel, "", BOOT, root),
                    **(uefi if firmware is Firmware.UEFI else {}),
                },
                links={"/boot/vmlinuz": f"vmlinuz-{kernel}", "/boot/initrd.img": f"initrd.img-{kernel}"},
                packing=packing,
                changes=_loader_changes(firmware, "grub") | {"/etc/fstab"},
            )


def red_hat() -> Iterator[Golden]:
    """XFS in a group, entries in files. 8 shares their arguments in grubenv, 9 writes them out."""
    for name, vendor, group in (
        ("rhel", "redhat", "rhel"),
        ("rocky", "rocky", "rl"),
        ("almalinux", "almalinux", "almalinux"),
        ("ol", "redhat", "ol"),
    ):
        for release, kernel in (("8", "4.18.0-513.el8.x86_64"), ("9", "5.14.0-362.el9.x86_64")):
            for firmware in _BOTH:
                yield _red_hat(name, release, kernel, vendor, group, firmware)


def _red_hat(name: str, release: str, kernel: str, vendor: str, group: str, firmware: Firmware) -> Golden:
    shared = f"root=/dev/mapper/{group}-root ro crashkernel=auto resume=/dev/mapper/{group}-swap "
    shared += f"rd.lvm.lv={group}/root rd.lvm.lv={group}/swap rhgb quiet"
    menu = f"search --no-floppy --fs-uuid --set=root {BOOT}\ninsmod blscfg\nblscfg\n"
    old, uefi = release == "8", firmware is Firmware.UEFI
    stub = f"search --no-floppy --root-dev-only --fs-uuid --set=dev {BOOT}\nset prefix=($dev)/grub2\n"
    block = f"# GRUB Environment Block\nsaved_entry=0-{kernel}\nkernelopts={shared} \n"
    entry = "$kernelopts $tuned_params" if old else shared
    environment = f"/boot/efi/EFI/{vendor}/grubenv" if old and uefi else "/boot/grub2/grubenv"
    return Golden(
        f"{name} {release} {firmware}",
        system_layout(firmware, root="xfs", boot="xfs", group=group),
        kernel,
        f"/boot/initramfs-{kernel}.img",
        {
            "/etc/fstab": f"/dev/mapper/{group}-root / xfs defaults 0 0\nUUID={BOOT} /boot xfs defaults 0 0\n"
            f"/dev/mapper/{group}-swap none swap defaults 0 0\n{efi_fstab(firmware)}",
            "/etc/default/grub": f'GRUB_CMDLINE_LINUX="{shared}"\nGRUB_ENABLE_BLSCFG=true\n',
            "/boot/grub2/.keep": "",
            **({"/boot/grub2/grub.cfg": menu} if not (old and uefi) else {}),
            environment: block + "#" * (1024 - len(block)),
            f"/boot/loader/entries/0-{kernel}.conf": f"title {name}\nversion {kernel}\n"
            f"linux /vmlinuz-{kernel}\ninitrd /initramfs-{kernel}.img $tuned_initrd\n"
            f"options {entry}\ngrub_class {name}\n",
            **(
                {"/etc/kernel/cmdline": f"{shared}\n", "/etc/lvm/devices/system.devices": "VERSION=1.1.2\n"}
                if not old
                else {}
            ),
            **(
                {
                    **signed(vendor, menu if old else stub + "configfile $prefix/grub.cfg\n"),
                    **removable(vendor),
                }
                if uefi
                else {}
            ),
        },
        links={"/boot/grub2/grubenv": f"../efi/EFI/{vendor}/grubenv"} if old and uefi else {},
        suffix=".ko.xz",
        changes=_loader_changes(firmware, "grub2") | (frozenset() if old else {"/etc/lvm/lvmlocal.conf"}),
    )


_SUSE_SUBVOLUMES = (
    Subvolume("@"),
    Subvolume("@/.snapshots"),
    Subvolume("@/.snapshots/1/snapshot", "/", default=True),
    Subvolume("@/boot/grub2/i386-pc", "/boot/grub2/i386-pc"),
    Subvolume("@/var", "/var"),
)


def suse() -> Iterator[Golden]:
    """btrfs with a default subvolume, GRUB's modules in a subvolume of their own, links to the kernel."""
    for name, vendor, kernel in (
        ("sles", "sles", "5.14.21-150500.55-default"),
        ("opensuse-leap", "opensuse", "6.4.0-150600.21-default"),
    ):
        for firmware in _BOTH:
            config = (
                'set btrfs_relative_path="yes"\n'
                f"search --fs-uuid --set=root {ROOT}\nset prefix=(${{root}})/boot/grub2\n"
                'source "${prefix}/grub.cfg"\n'
            )
            uefi = {
                **signed(vendor, config, grub="grub.efi", shim="shim.efi"),
                **removable(vendor, suse=True),
            }
            yield Golden(
                f"{name} 15 {firmware}",
                system_layout(firmware, root="btrfs", subvolumes=_SUSE_SUBVOLUMES),
                kernel,
                f"/boot/initrd-{kernel}",
                {
                    "/etc/fstab": f"UUID={ROOT}  /  btrfs  defaults  0  0\n"
                    f"UUID={ROOT}  /boot/grub2/i386-pc  btrfs  subvol=/@/boot/grub2/i386-pc  0  0\n"
                    f"UUID={ROOT}  /var  btrfs  subvol=/@/var  0  0\n"
                    f"UUID={SWAP}  swap  swap  defaults  0  0\n{efi_fstab(firmware)}",
                    "/boot/grub2/grub.cfg": 'set btrfs_relative_path="y"\nexport btrfs_relative_path\n'
                    f"search --no-floppy --fs-uuid --set=root {ROOT}\n"
                    "menuentry 'SUSE'  --class opensuse {\n"
                    f"\tlinux\t/boot/vmlinuz-{kernel} root=UUID={ROOT}  ${{extra_cmdline}} splash=silent "
                    f"resume=/dev/disk/by-uuid/{SWAP} mitigations=auto quiet security=apparmor\n"
                    f"\tinitrd\t/boot/initrd-{kernel}\n}}\n",
                    **(uefi if firmware is Firmware.UEFI else {}),
                },
                links={"/boot/vmlinuz": f"vmlinuz-{kernel}", "/boot/initrd": f"initrd-{kernel}"},
                packing="zstd",
                suffix=".ko",
                within=(cpio.regular("etc/cmdline.d/95resume.conf", f" resume=UUID={SWAP}\n".encode()),),
                changes=_loader_changes(firmware, "grub2"),
            )


def encrypted() -> Golden:
    """Red Hat 9 whose physical volume was encrypted, on an array: all of that stays behind."""
    plain = next(g for g in red_hat() if g.name == "rocky 9 uefi")
    gone = f"rd.luks.uuid=luks-{LUKS} rd.md.uuid=aa:bb:cc:dd"
    files = {path: text.replace("rhgb quiet", f"{gone} rhgb quiet") for path, text in plain.files.items()}
    unit = f"dev-mapper-luks\\x2d{LUKS.replace('-', chr(92) + 'x2d')}.device"
    hooks = "usr/lib/dracut/hooks/initqueue/finished"
    return Golden(
        "rocky 9 encrypted",
        plain.layout,
        plain.kernel,
        plain.initrd,
        {
            **files,
            "/etc/crypttab": f"luks-{LUKS} UUID={LUKS} none discard\n",
            "/etc/mdadm.conf": "MAILADDR root\nARRAY /dev/md/pv level=raid1\n   UUID=aa:bb:cc:dd\n",
        },
        suffix=plain.suffix,
        within=(
            cpio.regular("etc/cmdline.d/90crypt.conf", f"rd.luks.uuid=luks-{LUKS}\n".encode()),
            cpio.regular("etc/cmdline.d/90lvm.conf", b" rd.lvm.lv=rl/root \n rd.lvm.lv=rl/swap \n"),
            cpio.regular("etc/crypttab", f"luks-{LUKS} /dev/disk/by-uuid/{LUKS} none discard\n".encode()),
            cpio.regular("etc/lvm/devices/system.devices", b"VERSION=1.1.2\n"),
            cpio.regular(f"{hooks}/devexists-luks.sh", f'[ -e "/dev/mapper/luks-{LUKS}" ]\n'.encode()),
            cpio.regular(f"{hooks}/devexists-root.sh", b'[ -e "/dev/mapper/rl-root" ]\n'),
            cpio.regular(f"etc/systemd/system/initrd.target.wants/{unit}", b""),
            cpio.regular("etc/systemd/system/initrd.target.wants/dev-mapper-rl\\x2droot.device", b""),
        ),
        changes=plain.changes
        | {
            *("/etc/crypttab", "/etc/mdadm.conf", "/etc/default/grub", "/etc/kernel/cmdline"),
            *("/boot/grub2/grubenv", f"/boot/loader/entries/0-{plain.kernel}.conf"),
        },
    )


ALL = (*debian(), *debian_btrfs(), *ubuntu(), *red_hat(), *suse(), encrypted())
