"""Small trees as the installers of distributions leave them, written by hand from their documentation.

Kernels, boot programs and drivers are fakes; names, places and the text files are what counts. Each tree's
initramfs is made for one host, as its distribution packs it, and lacks the drivers of virtual hardware.
"""

from __future__ import annotations

import gzip
import lzma
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dtesx.boot import cpio
from dtesx.boot.cpio import Member
from dtesx.model.inventory import Firmware
from dtesx.model.layout import (
    MIB,
    DiskLayout,
    Layout,
    LogicalVolume,
    Partition,
    PartitionRole,
    Subvolume,
    VolumeGroup,
)

ROOT = "11111111-0000-4000-8000-000000000001"
BOOT = "11111111-0000-4000-8000-000000000002"
SWAP = "11111111-0000-4000-8000-000000000003"
ESP = "ABCD-1234"
LUKS = "22222222-0000-4000-8000-000000000009"
DRIVERS = ("vmw_pvscsi", "sd_mod", "vmxnet3")

Text = Mapping[str, str]


@dataclass(frozen=True)
class Golden:
    """A source: the files of its tree, the links, the layout planned for its replica.

    ``changes`` are the paths that the fix-ups may write, beside those of the initramfs.
    """

    name: str
    layout: Layout
    kernel: str
    initrd: str
    files: Text
    links: Text = field(default_factory=dict)
    packing: str = "gzip"
    suffix: str = ".ko"
    within: tuple[Member, ...] = ()
    changes: frozenset[str] = frozenset()

    def build(self, root: Path) -> None:
        """Make the tree."""
        for fs in self.layout.file_systems():
            (root / fs.mount_point.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, text in {**self.files, **self._kernel()}.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        for path, target in {"/lib": "usr/lib", **self.links}.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)

    def _kernel(self) -> dict[str, str | bytes]:
        modules = f"/usr/lib/modules/{self.kernel}"
        lines = [f"kernel/{name}{self.suffix}:" for name in DRIVERS]
        content = {f"{modules}/kernel/{name}{self.suffix}": self._module(name) for name in DRIVERS}
        return {
            f"/boot/vmlinuz-{self.kernel}": "a kernel",
            f"{modules}/modules.dep": "\n".join(lines) + "\n",
            **content,
            self.initrd: early() + packed(self.packing, cpio.write([*base(), *self.within])),
        }

    def _module(self, name: str) -> bytes:
        data = f"module {name}".encode()
        return lzma.compress(data) if self.suffix.endswith(".xz") else data


def early() -> bytes:
    """The microcode that dracut and initramfs-tools put before the compressed part."""
    return cpio.write([cpio.directory("kernel"), cpio.regular("kernel/x86/microcode/GenuineIntel.bin", b"m")])


def base() -> list[Member]:
    """What every initramfs has; /lib is a link, which must stay one."""
    return [
        cpio.directory("usr"),
        cpio.directory("usr/lib"),
        cpio.directory("etc"),
        Member("lib", stat.S_IFLNK | 0o777, b"usr/lib"),
        cpio.regular("init", b"#!"),
    ]


def packed(how: str, data: bytes) -> bytes:
    """The main archive in a distribution's compression."""
    if how == "zstd":
        return bytes(pytest.importorskip("zstandard").compress(data))
    if how == "lz4":
        return lz4_frame(data)
    return lzma.compress(data, check=lzma.CHECK_CRC32) if how == "xz" else gzip.compress(data)


def lz4_frame(data: bytes) -> bytes:
    """A legacy frame of blocks that hold literals alone (LZ4 block format), as `lz4 -l` frames them."""
    frame = b"\x02\x21\x4c\x18"
    for at in range(0, len(data), 200):
        literals = data[at : at + 200]
        head = b"\xf0" + bytes([len(literals) - 15]) if len(literals) >= 15 else bytes([len(literals) << 4])
        frame += (len(head) + len(literals)).to_bytes(4, "little") + head + literals
    return frame


def system_layout(
    firmware: Firmware,
    *,
    root: str = "ext4",
    boot: str = "",
    group: str = "",
    volumes: Sequence[str] = ("root", "swap"),
    subvolumes: tuple[Subvolume, ...] = (),
) -> Layout:
    """One disk: boot partition, /boot if wanted, then root and swap on partitions or in a group."""
    bios = firmware is Firmware.BIOS
    parts = [
        Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB)
        if bios
        else Partition(1, PartitionRole.EFI_SYSTEM, MIB, 64 * MIB, "vfat", ESP, "", "/boot/efi")
    ]
    if boot:
        parts.append(Partition(2, PartitionRole.FILE_SYSTEM, 70 * MIB, 64 * MIB, boot, BOOT, "", "/boot"))
    if not group:
        parts += [
            Partition(3, PartitionRole.FILE_SYSTEM, 140 * MIB, 64 * MIB, root, ROOT, "", "/", "", subvolumes),
            Partition(4, PartitionRole.SWAP, 210 * MIB, 16 * MIB, "swap", SWAP),
        ]
        return Layout(firmware, (DiskLayout(0, 256 * MIB, tuple(parts)),))
    parts.append(Partition(3, PartitionRole.PHYSICAL_VOLUME, 140 * MIB, 100 * MIB, group=group))
    held = (
        LogicalVolume(volumes[0], PartitionRole.FILE_SYSTEM, 64 * MIB, root, ROOT, "", "/"),
        LogicalVolume(volumes[1], PartitionRole.SWAP, 16 * MIB, "swap", SWAP),
    )
    return Layout(
        firmware,
        (DiskLayout(0, 256 * MIB, tuple(parts)),),
        (VolumeGroup(group, 4 * MIB, 96 * MIB, held),),
    )


def efi_fstab(firmware: Firmware) -> str:
    """The line of the ESP."""
    return f"UUID={ESP}  /boot/efi  vfat  umask=0077  0  1\n" if firmware is Firmware.UEFI else ""


def signed(
    vendor: str, config: str, *, grub: str = "grubx64.efi", shim: str = "shimx64.efi"
) -> dict[str, str]:
    """A vendor's directory on the ESP as a package for Secure Boot fills it."""
    manager = "mmx64.efi" if shim == "shimx64.efi" else "MokManager.efi"
    top = f"/boot/efi/EFI/{vendor}"
    names = {shim: "shim", grub: "grub", manager: "manager"}
    return {
        **{f"{top}/{name}": f"{kind} signed for {vendor}" for name, kind in names.items()},
        f"{top}/grub.cfg": config,
    }


def removable(vendor: str, *, suse: bool = False) -> dict[str, str]:
    """EFI/BOOT as Ubuntu, Red Hat and SUSE leave it: their shim, which goes on by the fallback program."""
    top = "/boot/efi/EFI"
    if suse:
        return {
            f"{top}/boot/bootx64.efi": f"shim signed for {vendor}",
            f"{top}/boot/fallback.efi": "fallback",
            f"{top}/{vendor}/boot.csv": "list",
        }
    return {
        f"{top}/BOOT/BOOTX64.EFI": f"shim signed for {vendor}",
        f"{top}/BOOT/fbx64.efi": "fallback",
        f"{top}/{vendor}/BOOTX64.CSV": "list",
    }
