"""The command line of a guest: the virtual hardware that vSphere gives a replica, as QEMU emulates it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import UsageError
from dtesx.lab.machine import AttachedDisk, ReplicaHardware

BINARY = "qemu-system-x86_64"
UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""The firmware of UEFI machines, and what a new machine's memory of its settings holds."""

_EMULATED_CPU = "max,ssse3=off,sse4.1=off,sse4.2=off,avx=off,avx2=off,aes=off,vaes=off,pclmulqdq=off"
_FIRST_CONTROLLER_SLOT = 0x10
_FIRST_NIC_SLOT = 0x18


@dataclass(frozen=True)
class GuestFiles:
    """Where a guest's console goes, where QEMU is spoken to, and where UEFI keeps its settings."""

    console: Path
    monitor: Path
    variables: Path


@dataclass(frozen=True)
class DirectBoot:
    """Start this kernel instead of what the disk's boot sector says.

    ``disk``, when given, is /dev/vda: a root that takes no place on the SCSI controllers.
    """

    kernel: Path
    initrd: Path | None
    command_line: str
    disk: Path | None = None


def accelerator_arguments(kvm: bool) -> tuple[str, ...]:
    """KVM with the host's CPU, or software emulation with one thread per virtual CPU.

    ``max`` keeps its SVM: with that hidden, mounts and udev of an emulated Debian 12 fail. Its vector and
    cipher instructions are hidden: emulated they are five times slower than the plain code (AES-GCM,
    BLAKE3, SHA-256) that programs have as well.
    """
    if kvm:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", _EMULATED_CPU)


def _host_memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def guest_arguments(
    hardware: ReplicaHardware,
    *,
    taps: Sequence[str],
    kvm: bool,
    files: GuestFiles,
    direct: DirectBoot | None = None,
) -> list[str]:
    """The whole argv of QEMU, pure. UsageError for a firmware that is neither BIOS nor UEFI.

    PCI slots are fixed, so that names of network interfaces stay the same from boot to boot.
    """
    cpus = max(1, min(hardware.cpus, os.cpu_count() or 1))
    # A job that asks for the source's memory asks, in the lab, for all that this host has.
    memory = max(256, min(hardware.memory_mib, _host_memory_mib() // 2))
    argv = [
        *(BINARY, "-name", hardware.name.replace(",", " "), "-nodefaults", "-no-user-config"),
        *("-machine", "q35", *accelerator_arguments(kvm)),
        *("-smp", str(cpus), "-m", str(memory)),
        *("-vga", "std", "-display", "none"),
        *(
            "-chardev",
            f"file,id=console,path={_quoted(files.console)},append=on",
            "-serial",
            "chardev:console",
        ),
        *("-qmp", f"unix:{_quoted(files.monitor)},server=on,wait=off"),
    ]
    if hardware.uuid:
        argv += ["-uuid", hardware.uuid]
    argv += _firmware_arguments(hardware, files)
    argv += _disk_arguments(hardware) + _nic_arguments(hardware, taps)
    return argv + (_direct_arguments(direct) if direct else [])


def place_name(disk: AttachedDisk) -> str:
    """What QEMU calls a disk: its place, for its own names are at most 31 characters long."""
    return f"disk{disk.controller}-{disk.unit}"


def _direct_arguments(direct: DirectBoot) -> list[str]:
    argv = ["-kernel", str(direct.kernel), "-append", direct.command_line]
    if direct.initrd:
        argv += ["-initrd", str(direct.initrd)]
    if direct.disk:
        argv += ["-drive", f"file={_quoted(direct.disk)},format=raw,if=virtio,cache=unsafe"]
    return argv


def _firmware_arguments(hardware: ReplicaHardware, files: GuestFiles) -> list[str]:
    if hardware.firmware == "bios":
        return []
    if hardware.firmware != "efi":
        raise UsageError(
            f"VM {hardware.name} has firmware {hardware.firmware}, which the lab does not know",
            hint="the lab starts machines by BIOS (bios) and UEFI (efi)",
        )
    flash = "if=pflash,format=raw"
    return [
        *("-drive", f"{flash},unit=0,readonly=on,file={_quoted(UEFI_CODE)}"),
        *("-drive", f"{flash},unit=1,file={_quoted(files.variables)}"),
    ]


def _disk_arguments(hardware: ReplicaHardware) -> list[str]:
    argv: list[str] = []
    for bus in sorted({*range(hardware.controllers), *(disk.controller for disk in hardware.disks)}):
        argv += ["-device", f"pvscsi,id=scsi{bus},addr={_FIRST_CONTROLLER_SLOT + bus:#x}"]
    ordered = sorted(hardware.disks, key=lambda disk: (disk.controller, disk.unit))
    for index, disk in enumerate(ordered):
        name = place_name(disk)
        drive = f"file={_quoted(disk.file)},format=raw,if=none,id={name},cache=unsafe,discard=unmap"
        if hardware.firmware == "efi" and index == 0:
            device = f"ide-hd,drive={name},bus=ide.0"  # Debian's OVMF has no driver for pvscsi
        else:
            place = f"bus=scsi{disk.controller}.0,scsi-id={disk.unit}"
            device = f"scsi-hd,drive={name},{place},serial={disk.wwn}"
        argv += ["-drive", drive, "-device", f"{device},bootindex={index + 1}"]
    return argv


def _nic_arguments(hardware: ReplicaHardware, taps: Sequence[str]) -> list[str]:
    argv: list[str] = []
    for index, (nic, tap) in enumerate(zip(hardware.nics, taps, strict=True)):
        argv += ["-netdev", f"tap,id=net{index},ifname={tap},script=no,downscript=no"]
        argv += ["-device", f"vmxnet3,netdev=net{index},mac={nic.mac},addr={_FIRST_NIC_SLOT + index:#x}"]
    return argv


def _quoted(path: Path) -> str:
    """QEMU's option syntax doubles a comma inside a value."""
    return str(path).replace(",", ",,")
