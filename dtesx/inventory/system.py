"""Operating system, firmware, name and size of the machine."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterable
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.run import run
from dtesx.model.inventory import Firmware, OperatingSystem, Processor

_CPUS = Path("/sys/devices/system/cpu")


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
        like=tuple(values.get("ID_LIKE", "").split()),
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


def arranged(places: Iterable[tuple[str, str]], model: str) -> Processor | None:
    """How processors are arranged, from the package and the core of each; None when nothing is known."""
    known = list(places)
    sockets = len({package for package, _ in known})
    if not sockets:
        return None
    cores = len(set(known))
    return Processor(sockets, max(1, cores // sockets), max(1, len(known) // cores), model)


def processor() -> Processor | None:
    """How this machine's processors are arranged (sysfs, cputopology)."""
    topologies = [path / "topology" for path in _CPUS.glob("cpu[0-9]*")]
    places = [
        (_line(path / "physical_package_id"), _line(path / "core_id")) for path in topologies if path.is_dir()
    ]
    return arranged(places, _processor_model(Path("/proc/cpuinfo").read_text(errors="replace")))


def _processor_model(text: str) -> str:
    named = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(named, "")


def _line(path: Path) -> str:
    return path.read_text().strip()


def memory_bytes() -> int:
    """Physical memory that the kernel uses."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def virtualization() -> str:
    """The hypervisor or container that we run in, "" for none. Raises CommandFailed."""
    try:
        name = run(["systemd-detect-virt"], ok=(0, 1)).text.strip()
    except CommandFailed as error:
        raise CommandFailed(f"no hypervisor was looked for: {error.message}") from error
    return "" if name == "none" else name


def is_whole_machine() -> bool:
    """Whether what the kernel shows of disks is ours: we share the mounts of the machine's first process."""
    try:
        return os.readlink("/proc/1/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:  # not root, or a process of another user: then nobody asks for more than the mounts
        return False
