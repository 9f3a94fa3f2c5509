"""Replicas that start by UEFI: with a GRUB made for them, and with Debian's signed shim under Secure Boot.

The firmware is OVMF with no entry of its own, as a new virtual machine's is. This host mounts no vfat: the
ESP is a directory while the replica is made bootable, and is then copied into its partition with mtools.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from dtesx.boot.fix import make_bootable
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.volumes.prepare import prepare_disks
from tests.vm.test_boot_replica import MAC, WIRING, make_unhelpful, source_tree, wait_for_login

pytestmark = pytest.mark.vm

OVMF = Path("/usr/share/OVMF")
ESP = Partition(1, PartitionRole.EFI_SYSTEM, MIB, 64 * MIB, "vfat", "ABCD-1234", "", "/boot/efi")
SIGNED = {
    "shimx64.efi": Path("/usr/lib/shim/shimx64.efi.signed"),
    "mmx64.efi": Path("/usr/lib/shim/mmx64.efi.signed"),
    "grubx64.efi": Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"),
}


def planned(root_uuid: str) -> Layout:
    root = Partition(2, PartitionRole.FILE_SYSTEM, 65 * MIB, 4096 * MIB, "ext4", root_uuid, "", "/")
    return Layout(Firmware.UEFI, (DiskLayout(0, 4162 * MIB, (ESP, root)),))


def install_signed(esp: Path) -> None:
    """What Debian's packages for Secure Boot put there; its grub.cfg is the fix-up's business."""
    vendor = esp / "EFI/debian"
    vendor.mkdir(parents=True)
    for name, file in SIGNED.items():
        shutil.copy(file, vendor / name)


def build(tmp_path: Path, *, secure: bool) -> Path:
    disk = tmp_path / "disk.img"
    with source_tree(tmp_path / "source") as (source, uuid):
        layout = planned(uuid)
        root = layout.disks[0].partitions[1]
        disk.touch()
        os.truncate(disk, layout.disks[0].size_bytes)
        prepare_disks(layout, [disk])
        place = f"offset={root.start_bytes},sizelimit={root.size_bytes}"
        with mounted(disk, place, tmp_path / "replica") as top:
            run(["cp", "-a", f"{source}/.", str(top)])
            make_unhelpful(top)
            esp = top / "boot/efi"
            esp.mkdir()
            if secure:
                install_signed(esp)
            changes = make_bootable(top, layout, disk, WIRING, hostname="omega")
            assert (esp / "EFI/BOOT/BOOTX64.EFI").is_file(), changes
            assert make_bootable(top, layout, disk, WIRING, hostname="omega") == ()
            run(["mcopy", "-s", "-i", f"{disk}@@{ESP.start_bytes}", str(esp / "EFI"), "::"])
            shutil.rmtree(esp / "EFI")
    return disk


@contextmanager
def mounted(disk: Path, place: str, where: Path) -> Iterator[Path]:
    where.mkdir()
    run(["mount", "-t", "ext4", "-o", f"loop,{place}", str(disk), str(where)])
    try:
        yield where
    finally:
        run(["umount", str(where)])


@contextmanager
def machine(disk: Path, console: Path, *, secure: bool) -> Iterator[None]:
    code, variables = ("CODE_4M.secboot", "VARS_4M.ms") if secure else ("CODE_4M", "VARS_4M")
    own = shutil.copy(OVMF / f"OVMF_{variables}.fd", console.with_name("variables.fd"))
    flash = f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF / f'OVMF_{code}.fd'}"
    argv = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35,smm=on", "-cpu", "max", "-m", "1024"]
    argv += ["-global", f"driver=cfi.pflash01,property=secure,value={'on' if secure else 'off'}"]
    argv += ["-drive", flash, "-drive", f"if=pflash,format=raw,unit=1,file={own}"]
    argv += ["-accel", "tcg,thread=multi", "-smp", "2", "-vga", "std", "-display", "none"]
    argv += ["-serial", f"file:{console}"]
    argv += ["-drive", f"file={disk},format=raw,if=none,id=d0,cache=unsafe", "-device", "ide-hd,drive=d0"]
    argv += ["-netdev", "user,id=net0,restrict=on", "-device", f"vmxnet3,netdev=net0,mac={MAC},addr=0x18"]
    process = spawn(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("secure", [False, True], ids=["own", "signed"])
def test_the_replica_starts_by_uefi(tmp_path: Path, secure: bool) -> None:
    disk, console = build(tmp_path, secure=secure), tmp_path / "console"
    started = time.monotonic()
    with machine(disk, console, secure=secure):
        text = wait_for_login(console)
    print(f"login prompt after {time.monotonic() - started:.0f} s")
    report = text[: text.index("end of report")]
    assert re.search(r"^/boot/efi ABCD-1234\s", report, re.MULTILINE), report[-2000:]
    assert re.search(r"^eth0 +UP ", report, re.MULTILINE)
    assert not re.search(r"loaded +failed", report)
    assert ("Secure boot enabled" in text) == secure
