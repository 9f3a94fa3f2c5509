"""Operating system, firmware, name and size of the machine."""

from __future__ import annotations

import os
import platform
import shlex
from pathlib import Path

from dtesx.model.inventory import Firmware, OperatingSystem


def parse_os_release(text: str) -> OperatingSystem:
    """os-release(5): shell-like assignments; missing fields have that page's defaults."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = "".join(shlex.split(value))
    return OperatingSystem(
        id=values.get("ID", "linux"),
        version=values.get("VERSION_ID", ""),
        pretty=values.get("PRETTY_NAME", "Linux"),
    )


def operating_system() -> OperatingSystem:
    """The operating system of the root we run in."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.is_file():
            return parse_os_release(path.read_text(errors="replace"))
    return parse_os_release("")


def firmware() -> Firmware:
    """UEFI when the kernel was started by it (the kernel then offers /sys/firmware/efi)."""
    return Firmware.UEFI if Path("/sys/firmware/efi").is_dir() else Firmware.BIOS


def hostname() -> str:
    """The name that the machine gives itself at start (hostname(5)), else the kernel's."""
    path = Path("/etc/hostname")
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return names[0] if names else platform.node()


def cpus() -> int:
    """Processors that are on line."""
    return max(1, os.sysconf("SC_NPROCESSORS_ONLN"))


def memory_bytes() -> int:
    """Physical memory that the kernel uses."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
