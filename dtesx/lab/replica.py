"""A guest of QEMU as a machine of the lab: what the vSphere API powers on becomes one of these."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import Completed, Process, spawn
from dtesx.lab import qemu
from dtesx.lab.machine import ReplicaHardware
from dtesx.lab.namespaces import inside
from dtesx.lab.network import GATEWAY, GATEWAY_MAC, SUBNET, Network
from dtesx.lab.processes import terminate
from dtesx.lab.shell import Shell
from dtesx.lab.sniff import AddressWatch, Station

log = get_logger(__name__)

Found = Callable[[str, str, str], None]

_LOGIN = re.compile(rb"^(\S+) login: ", re.MULTILINE)
_START_SECONDS = 15.0


class QemuMachine:
    """One VM with its virtual hardware. ``found(name, address, hostname)`` is told what the guest shows.

    It is called when the address is seen, and once more with the host name from the login prompt on
    the serial console, if one comes. Without it nobody looks for either.
    """

    def __init__(
        self,
        hardware: ReplicaHardware,
        *,
        network: Network,
        directory: Path,
        monitor: Path,
        shell: Shell,
        kvm: Callable[[], bool],
        found: Found | None = None,
        direct: qemu.DirectBoot | None = None,
    ) -> None:
        self.name = hardware.name
        self.hardware = hardware
        self._network = network
        self._directory = directory
        self._monitor = monitor
        self._shell = shell
        self._kvm = kvm
        self._found = found
        self._direct = direct
        self._address = ""
        self._process: Process | None = None
        self._parts = ExitStack()
        self._off = threading.Event()

    @property
    def address(self) -> str:
        """The address its first network card uses; empty until it was seen."""
        return self._address

    @property
    def log(self) -> Path:
        """The serial console."""
        return self._directory / "console.log"

    def start(self) -> None:
        """Power it on. Returns when QEMU runs. CommandFailed with QEMU's words when it does not."""
        self._directory.mkdir(parents=True, exist_ok=True)
        files = qemu.GuestFiles(self.log, self._monitor, self._directory / "uefi-variables")
        files.monitor.unlink(missing_ok=True)
        if self.hardware.firmware == "efi":  # of a new machine, which has never started anything
            shutil.copyfile(qemu.UEFI_VARIABLES, files.variables)
        self._off.clear()
        self._address = ""
        try:
            taps = [self._parts.enter_context(self._network.tap(name)) for name in self._tap_names()]
            argv = qemu.guest_arguments(
                self.hardware, taps=taps, kvm=self._kvm(), files=files, direct=self._direct
            )
            self._launch([*inside(self._network.namespace), *argv], files.monitor)
            if taps and self._found:
                self._watch(taps[0])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Power it off hard; does nothing when it is off."""
        self._off.set()
        if self._process is not None:
            terminate([self._process.pid], patience=3)
            self._process.wait()
            self._process = None
        self._parts.close()

    def alive(self) -> bool:
        """Whether QEMU runs (a guest that shut itself down ends it)."""
        return self._process is not None and self._process.poll() is None

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> Completed:
        """Run a program in the guest over SSH. ConnectionFailed while the address is unknown."""
        if not self._address:
            raise ConnectionFailed(
                f"machine {self.name} has no address yet", hint=f"its console is {self.log}"
            )
        return self._shell.run(self._address, argv, timeout=timeout, ok=ok)

    def _tap_names(self) -> list[str]:
        return [f"{self.name}{index}" for index in range(len(self.hardware.nics))]

    def _launch(self, argv: Sequence[str], monitor: Path) -> None:
        words = self._directory / "qemu.log"
        with words.open("ab") as out:
            mark = out.tell()
            process = spawn(argv, stdout=out, stderr=out)
        self._process = process
        wait_until(
            lambda: monitor.exists() or process.poll() is not None, timeout=_START_SECONDS, interval=0.05
        )
        if not monitor.exists() or process.poll() is not None:
            said = words.read_bytes()[mark:].decode(errors="replace").strip()
            raise CommandFailed(
                f"QEMU did not start {self.name}: {said or 'no message'}", hint=f"see {words}"
            )

    def _watch(self, tap: str) -> None:
        watch = AddressWatch(
            namespace=self._network.namespace,
            tap=tap,
            mac=self.hardware.nics[0].mac,
            subnet=f"{SUBNET}.0/24",
            asker=Station(GATEWAY_MAC, GATEWAY),
            found=self._seen,
        )
        self._parts.callback(watch.stop)

    def _seen(self, address: str) -> None:
        """Called in the watch's thread."""
        self._address = address
        log.info("guest has an address", vm=self.name, address=address)
        self._report("")
        threading.Thread(target=self._await_login, name=f"login-{self.name}", daemon=True).start()

    def _await_login(self) -> None:
        while not self._off.wait(0.5) and self.alive():
            if match := _LOGIN.search(self.log.read_bytes()):
                self._report(match[1].decode(errors="replace"))
                return

    def _report(self, hostname: str) -> None:
        assert self._found is not None
        try:
            self._found(self.name, self._address, hostname)
        except Exception:
            log.error("the guest's address could not be reported", vm=self.name, exc_info=True)
