"""A server as a guest of QEMU: a kernel of its own, with device-mapper, udev and systemd; root by SSH.

Emulated, it boots in half a minute and works at a tenth of the host's speed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import ConnectionFailed
from dtesx.base.retry import wait_until
from dtesx.base.run import Completed, Process
from dtesx.lab.machine import ReplicaHardware
from dtesx.lab.network import Network
from dtesx.lab.processes import terminate
from dtesx.lab.qemu import DirectBoot
from dtesx.lab.replica import QemuMachine
from dtesx.lab.serving import Service, ServingMachine
from dtesx.lab.shell import Shell

_BOOT_SECONDS = 600.0
_TAIL = 2000


@dataclass(frozen=True)
class Surroundings:
    """Where a guest runs: its network, the key that root logs in with, a place for sockets, KVM or not."""

    network: Network
    key: Path
    runtime: Path
    kvm: Callable[[], bool]


class Guest(ServingMachine):
    """A server at ``address`` whose disks and kernel are its own."""

    ready_seconds = 180.0

    def __init__(
        self,
        hardware: ReplicaHardware,
        *,
        address: str,
        surroundings: Surroundings,
        directory: Path,
        services: Sequence[Service] = (),
        direct: DirectBoot | None = None,
    ) -> None:
        super().__init__(hardware.name, directory=directory, services=services)
        self._address = address
        runtime = surroundings.runtime
        self._shell = Shell(surroundings.network.namespace, surroundings.key, runtime / f"{self.name}.ssh")
        self._monitor = runtime / f"{self.name}.monitor"
        self._machine = QemuMachine(
            hardware,
            network=surroundings.network,
            directory=directory,
            monitor=self._monitor,
            shell=self._shell,
            kvm=surroundings.kvm,
            direct=direct,
        )
        self._login: Process | None = None

    @property
    def address(self) -> str:
        """Its address in the lab's network, fixed from the beginning."""
        return self._address

    @property
    def console(self) -> Path:
        """What its kernel and systemd wrote."""
        return self._machine.log

    def start(self) -> None:
        """Power it on, wait until one can log in, start its services. ConnectionFailed."""
        self._machine.start()
        try:
            if not wait_until(self._log_in, timeout=_BOOT_SECONDS, interval=0.5):
                said = self.console.read_text(errors="replace")[-_TAIL:] if self.console.exists() else ""
                raise ConnectionFailed(
                    f"machine {self.name} did not boot within {_BOOT_SECONDS:.0f} s: {said.strip()}",
                    hint=f"its console is {self.console}",
                )
            self.start_services()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Power it off hard; does nothing when it is off."""
        self._machine.stop()
        for process in (*self._running.values(), *([self._login] if self._login else ())):
            terminate([process.pid])
            process.wait()
        self._running.clear()
        self._login = None

    def lose(self) -> None:
        """Crash it: for a machine with a kernel of its own the same as a power cut."""
        self.stop()

    def alive(self) -> bool:
        """Whether QEMU runs."""
        return self._machine.alive()

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> Completed:
        """Run a program in it as root (status 255 is SSH's own failure)."""
        return self._shell.run(self._address, argv, timeout=timeout, ok=ok)

    def python(self, code: str, *arguments: str, timeout: float = 300.0) -> str:
        """Run Python code with dtesx in it, and return what it printed."""
        return self.run(["python3", "-c", code, *arguments], timeout=timeout).text

    def fetch(self, path: Path) -> bytes:
        """The content of a file of it."""
        return self.run(["cat", str(path)]).stdout

    def _log_in(self) -> bool:
        if not self._machine.alive():
            raise ConnectionFailed(f"machine {self.name} ended itself", hint=f"its console is {self.console}")
        try:
            self._login = self._shell.keep(self._address)
        except ConnectionFailed:
            return False
        return True

    def _program(self, service: Service) -> tuple[Sequence[str], Mapping[str, str]]:
        words = ["env", *(f"{name}={value}" for name, value in service.env.items()), *service.argv]
        command = f"echo $$ > {_pid_file(service.name)}; exec {shlex.join(words)}"
        return [*self._shell.argv(self._address), command], {}

    def _end(self, name: str, process: Process, patience: float) -> None:
        kill = f"p=$(cat {_pid_file(name)}); "
        if patience:
            kill += f"kill $p; timeout {patience:g} tail --pid=$p -s 0.2 -f /dev/null; "
        self.run(["sh", "-c", f"{kill}kill -KILL $p 2>&-; true"], timeout=patience + 60)
        terminate([process.pid], patience=1)


def _pid_file(service: str) -> str:
    return f"/run/lab-{service}.pid"
