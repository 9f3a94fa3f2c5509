"""Does KVM work here? /dev/kvm can exist and yet hang every stock kernel, so a real one is tried.

The answer costs some seconds on a host where it is no; it is kept until the next boot of the host.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dtesx.base.files import write_atomic
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import spawn
from dtesx.lab.processes import terminate
from dtesx.lab.qemu import BINARY, accelerator_arguments

log = get_logger(__name__)

PROBE_SECONDS = 12.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_DEVICE = Path("/dev/kvm")
# A kernel without a root file system ends so; it has then started all its processors and drivers.
_PROOF = b"Kernel panic - not syncing: VFS: Unable to mount root fs"


def kvm_works(cache: Path, kernel: Path) -> bool:
    """Whether ``kernel`` starts under KVM within PROBE_SECONDS; remembered in ``cache`` per boot."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return False
    memory = cache / "kvm"
    boot = _BOOT_ID.read_text().strip()
    if memory.exists():
        known_boot, _, answer = memory.read_text().strip().partition(" ")
        if known_boot == boot:
            return answer == "yes"
    answer = "yes" if _try(kernel, PROBE_SECONDS) else "no"
    log.info("KVM probed", works=answer)
    write_atomic(memory, f"{boot} {answer}\n".encode(), mode=0o644)
    return answer == "yes"


def _try(kernel: Path, seconds: float) -> bool:
    with tempfile.TemporaryDirectory(prefix="dtesx-kvm-") as directory:
        console = Path(directory) / "console"
        argv = [
            *(BINARY, "-nodefaults", "-no-user-config", "-no-reboot", "-machine", "q35"),
            *accelerator_arguments(kvm=True),
            *("-m", "256", "-display", "none", "-vga", "none"),
            *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
            *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
        ]
        process = spawn(argv)
        try:
            wait_until(lambda: process.poll() is not None or _proved(console), timeout=seconds, interval=0.1)
            return _proved(console)
        finally:
            terminate([process.pid])
            process.wait()


def _proved(console: Path) -> bool:
    return console.exists() and _PROOF in console.read_bytes()
