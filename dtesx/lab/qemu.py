"""The command line of a guest: the virtual hardware that vSphere gives a replica, as QEMU emulates it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import UsageError
from dtesx.lab.machine import ReplicaHardware

BINARY = "qemu-system-x86_64"
_FIRST_CONTROLLER_SLOT = 0x10
_FIRST_NIC_SLOT = 0x18


@dataclass(frozen=True)
class GuestFiles:
    """Where a guest's console goes and where QEMU is spoken to."""

    console: Path
    monitor: Path


@dataclass(frozen=True)
class DirectBoot:
    """Start this kernel instead of what the disk's boot sector says."""

    kernel: Path
    initrd: Path | None
    command_line: str


def accelerator_arguments(kvm: bool) -> tuple[str, ...]:
    """KVM with the host's CPU, or software emulation with one thread per virtual CPU.

    ``max`` is left whole: with its SVM hidden, mounts and udev of an emulated Debian 12 fail.
    """
    if kvm:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max")


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
    """The whole argv of QEMU, pure. UsageError for hardware that the lab does not emulate yet.

    PCI slots are fixed, so that names of network interfaces stay the same from boot to boot.
    """
    if hardware.firmware != "bios":
        raise UsageError(
            f"VM {hardware.name} has firmware {hardware.firmware}; the lab starts BIOS machines only",
            hint="protect a server that boots by BIOS in the lab",
        )
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
    argv += _disk_arguments(hardware) + _nic_arguments(hardware, taps)
    if direct:
        argv += ["-kernel", str(direct.kernel), "-append", direct.command_line]
        argv += ["-initrd", str(direct.initrd)] if direct.initrd else []
    return argv


def _disk_arguments(hardware: ReplicaHardware) -> list[str]:
    argv: list[str] = []
    for bus in sorted({disk.controller for disk in hardware.disks}):
        argv += ["-device", f"pvscsi,id=scsi{bus},addr={_FIRST_CONTROLLER_SLOT + bus:#x}"]
    ordered = sorted(hardware.disks, key=lambda disk: (disk.controller, disk.unit))
    for index, disk in enumerate(ordered):
        name = f"disk{disk.controller}-{disk.unit}"
        drive = f"file={_quoted(disk.file)},format=raw,if=none,id={name},cache=unsafe,discard=unmap"
        place = f"bus=scsi{disk.controller}.0,scsi-id={disk.unit}"
        device = f"scsi-hd,drive={name},{place},serial={disk.wwn},bootindex={index + 1}"
        argv += ["-drive", drive, "-device", device]
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
