"""Machines that are process groups: own network, mount, PID and host name, the host's kernel.

A small shell is the first process of the machine and keeps its namespaces, so that any service in
it may be killed and started again while its mounts stay, as on a real machine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import Completed, Process, run, spawn
from dtesx.lab.namespaces import inside
from dtesx.lab.network import Network, Port
from dtesx.lab.processes import children_of, terminate
from dtesx.lab.serving import Service, ServingMachine

log = get_logger(__name__)

_READY = "machine is up"
_TAIL = 1500
# The shell that did the mounts becomes one that only reaps what is orphaned in the machine.
_FOREVER = f"""
hostname "$1"
echo "{_READY}"
exec /bin/sh -c 'while :; do sleep 3600 & wait; done' init
"""


class NamespaceMachine(ServingMachine):
    """A machine on the host's kernel. Subclasses say what is mounted in it."""

    def __init__(
        self,
        name: str,
        *,
        network: Network,
        address: str,
        mac: str,
        directory: Path,
        services: Sequence[Service],
    ) -> None:
        super().__init__(name, directory=directory, services=services)
        self._network = network
        self._address = address
        self._mac = mac
        self._init: Process | None = None
        self._plugged = ExitStack()
        self._stopping = False

    @property
    def address(self) -> str:
        """Its address in the lab's network, fixed from the beginning."""
        return self._address

    @property
    def pid(self) -> int:
        """The host's id of the machine's first process; ConnectionFailed when it is off."""
        children = children_of(self._init.pid) if self._init else ()
        if not children:
            raise ConnectionFailed(f"machine {self.name} is off", hint="start it first: dtesx lab status")
        return children[0]

    def start(self) -> None:
        """Plug it in, make its namespaces and mounts, start its services."""
        self._stopping = False
        self.directory.mkdir(parents=True, exist_ok=True)
        port = self._plugged.enter_context(self._network.port(self.name, self._address, self._mac))
        try:
            self._boot(port)
            self.start_services()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill everything in it at once and unplug it for good."""
        self._stopping = True
        self._kill()
        self._plugged.close()

    def lose(self) -> None:
        """Crash it: every process dies and the link goes down at the same moment."""
        self._stopping = True
        self._network.unplug(self.name)
        self._kill()

    def alive(self) -> bool:
        """Whether its first process runs."""
        return self._init is not None and bool(children_of(self._init.pid))

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> Completed:
        """Run a program inside, with the machine's root, mounts, network and process ids."""
        return run([*self._enter(), *argv], timeout=timeout, ok=ok)

    def _program(self, service: Service) -> tuple[Sequence[str], Mapping[str, str]]:
        return [*self._enter(), *service.argv], service.env

    def _end(self, name: str, process: Process, patience: float) -> None:  # noqa: ARG002 - known by its process
        terminate([*children_of(process.pid), process.pid], patience=patience)

    def _script(self) -> str:
        """Shell commands that mount what the machine needs; run in its namespaces, ``set -e``."""
        raise NotImplementedError

    def _boot(self, port: Port) -> None:
        with self._open_log() as log:
            self._init = spawn(
                [
                    *inside(port.namespace),
                    *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"),
                    *("--propagation", "slave", "/bin/sh", "-e", "-c", self._script() + _FOREVER),
                    *("machine", self.hostname),
                ],
                stdout=log,
                stderr=log,
            )
        self._await_boot()
        threading.Thread(target=self._unplug_at_end, args=(self._init,), daemon=True).start()

    def _unplug_at_end(self, init: Process) -> None:
        """A machine that went down stops answering; its namespace alone would go on doing so."""
        init.wait()
        if self._init is not init or self._stopping:
            return
        log.info("machine went down", machine=self.name)
        self._network.unplug(self.name)

    @property
    def hostname(self) -> str:
        """Its host name."""
        return self.name

    def _await_boot(self) -> None:
        init = self._init
        assert init is not None

        def settled() -> bool:
            return _READY in self._log_text() or init.poll() is not None

        wait_until(settled, timeout=20, interval=0.02)
        if not self.alive() or _READY not in self._log_text():
            raise CommandFailed(
                f"machine {self.name} did not start: {self._log_text()[-_TAIL:].strip()}",
                hint=f"the whole log is {self.log}",
            )

    def _kill(self) -> None:
        if self._init is None:
            return
        terminate([*children_of(self._init.pid), self._init.pid])
        self._init.wait()
        for process in self._running.values():
            terminate([process.pid])
            process.wait()
        self._running.clear()
        self._init = None

    def _enter(self) -> tuple[str, ...]:
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid")
        return ("nsenter", "--target", str(self.pid), *spaces, "--")
