"""Machines that run services: long-lived programs that are started, watched and killed one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dtesx.base.errors import ConnectionFailed
from dtesx.base.retry import wait_until
from dtesx.base.run import Process, spawn

_TAIL = 1500


@dataclass(frozen=True)
class Service:
    """A long-lived program of a machine; it is ready when it wrote ``ready_line`` ("": at once)."""

    name: str
    argv: tuple[str, ...]
    ready_line: str = ""
    env: dict[str, str] = field(default_factory=dict)


class ServingMachine:
    """The services of a machine. Subclasses say how a program gets into it, and how one in it is ended."""

    ready_seconds = 60.0

    def __init__(self, name: str, *, directory: Path, services: Sequence[Service]) -> None:
        self.name = name
        self.directory = directory
        self.services = tuple(services)
        self._running: dict[str, Process] = {}
        self._mark = 0

    @property
    def log(self) -> Path:
        """What its processes wrote."""
        return self.directory / f"{self.name}.log"

    def start_services(self) -> None:
        """Start all its services, in order."""
        for service in self.services:
            self.start_service(service.name)

    def start_service(self, name: str) -> int:
        """Start one of the machine's services and wait until it is ready; return its host id.

        Raises ConnectionFailed with the log's end when it ends, or is not ready in time.
        """
        service = next(service for service in self.services if service.name == name)
        argv, env = self._program(service)
        with self._open_log() as log:
            process = spawn(argv, stdout=log, stderr=log, env=env)
        self._running[name] = process
        wait_until(lambda: self._settled(service), timeout=self.ready_seconds, interval=0.05)
        if not self.service_alive(name) or service.ready_line not in self._log_text():
            raise ConnectionFailed(
                f"{name} on machine {self.name} did not start: {self._log_text()[-_TAIL:].strip()}",
                hint=f"the whole log is {self.log}",
            )
        return process.pid

    def stop_service(self, name: str, *, patience: float = 5.0) -> None:
        """End a service: SIGTERM, then SIGKILL after ``patience`` seconds (0: SIGKILL at once)."""
        process = self._running.pop(name)
        self._end(name, process, patience)
        process.wait()

    def service_alive(self, name: str) -> bool:
        """Whether a service still runs."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def _program(self, service: Service) -> tuple[Sequence[str], Mapping[str, str]]:
        """The command and the environment that run a service in the machine."""
        raise NotImplementedError

    def _end(self, name: str, process: Process, patience: float) -> None:
        """End a service that ``process`` of the host stands for."""
        raise NotImplementedError

    def _settled(self, service: Service) -> bool:
        return service.ready_line in self._log_text() or not self.service_alive(service.name)

    def _open_log(self) -> IO[bytes]:
        file = self.log.open("ab")
        self._mark = file.tell()
        return file

    def _log_text(self) -> str:
        """What came into the log since the latest program was started."""
        with self.log.open("rb") as file:
            file.seek(self._mark)
            return file.read().decode(errors="replace")
