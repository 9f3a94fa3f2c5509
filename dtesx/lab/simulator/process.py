"""Runs the simulator as a process and steers it through its control socket.

The inventory lives in the process: after a restart it is fresh, while the datastore's files stay.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import msgspec

from dtesx.base.errors import CommandFailed, Conflict, ConnectionFailed, UsageError
from dtesx.base.files import write_atomic
from dtesx.base.log import get_logger
from dtesx.base.run import Process, spawn
from dtesx.lab.processes import terminate

log = get_logger(__name__)

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_SOCKET_LENGTH = 107
"""Longest path of a Unix socket (sockaddr_un has 108 bytes with the final zero)."""


@dataclass(frozen=True)
class SimulatorUser:
    """An account. ``privileges`` None means an administrator; else exactly these are granted, everywhere."""

    name: str
    password: str
    role: str = "Admin"
    privileges: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SimulatorConfig:
    """What a simulator serves and where.

    ``certificate`` and ``key`` are PEM files; ``hooks`` is the lab's Unix socket that is told of
    power and disk changes (None: nobody is), ``control`` the one that this module steers it by;
    ``netns`` names the network namespace to serve in ("" for the present one). ``spare`` adds a second
    host and a second datastore, to which machines can be moved.
    """

    address: str
    port: int
    datastore: Path
    certificate: Path
    key: Path
    users: tuple[SimulatorUser, ...]
    appliance_name: str
    appliance_uuid: str
    control: Path
    hooks: Path | None = None
    netns: str = ""
    spare: bool = False

    def __post_init__(self) -> None:
        for path in (self.control, self.hooks):
            if path is not None and len(os.fsencode(path)) > _SOCKET_LENGTH:
                raise UsageError(
                    f"the socket path {path} is longer than {_SOCKET_LENGTH} bytes",
                    hint="choose a directory with a shorter name for the lab",
                )

    def to_json(self) -> bytes:
        """The configuration file as the Go program reads it."""
        fields = msgspec.to_builtins(self, enc_hook=str)
        fields["hooks"] = fields["hooks"] or ""
        del fields["netns"]
        return msgspec.json.format(msgspec.json.encode(fields), indent=2)


class Simulator:
    """A running simulator; use it as a context manager, which ends the process and its files.

    ``directory`` gets the configuration and the log ``simulator.log``.
    """

    def __init__(self, binary: Path, config: SimulatorConfig, directory: Path) -> None:
        self.config = config
        self.log_file = directory / "simulator.log"
        self._binary = binary
        self._config_file = directory / f"simulator-{secrets.token_hex(4)}.json"
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start and wait until the API answers. Raises CommandFailed with the log's last lines."""
        write_atomic(self._config_file, self.config.to_json())
        argv = [str(self._binary), str(self._config_file)]
        if self.config.netns:
            argv = ["ip", "netns", "exec", self.config.netns, *argv]
        with self.log_file.open("ab") as output:
            self._process = spawn(argv, stdout=output, stderr=output)
        try:
            self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise
        log.info("vSphere simulator started", pid=self.pid, address=self.config.address)

    def _await_ready(self, process: Process) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                state = "ended" if process.poll() is not None else "did not get ready"
                raise CommandFailed(
                    f"the vSphere simulator {state}: {self._last_lines() or 'no message'}",
                    hint=f"see {self.log_file}; is {self.config.address}:{self.config.port} in use?",
                )
            time.sleep(0.05)

    def _last_lines(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-5:])
        return ""

    def stop(self) -> None:
        """End the process (TERM, after some seconds KILL); fine if it is gone."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            terminate([process.pid], patience=_STOP_SECONDS)
            process.wait()
        self._config_file.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Whether the control socket answers."""
        try:
            with self._control() as client:
                return client.get("/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def set_guest(self, vm: str, *, address: str, hostname: str = "") -> None:
        """Report what the guest's tools say; an empty ``address`` makes them silent."""
        self._post("/guest", {"vm": vm, "address": address, "hostname": hostname})

    def fail(self, method: str, *, fault: str, message: str, count: int = 1) -> None:
        """Let the next ``count`` calls of an API method fail with a vSphere fault; 0 ends that."""
        self._post("/fault", {"method": method, "fault": fault, "message": message, "count": count})

    def expire_sessions(self) -> int:
        """End every session, as an idle vCenter does; returns how many there were."""
        return self._post("/expire-sessions", {})["sessions"]

    def limit_datastore(self, name: str, free_bytes: int | None) -> None:
        """Pretend that only so many bytes are free; None ends the pretence."""
        self._post("/datastore", {"name": name, "free_bytes": -1 if free_bytes is None else free_bytes})

    @contextlib.contextmanager
    def _control(self) -> Iterator[httpx.Client]:
        transport = httpx.HTTPTransport(uds=str(self.config.control))
        with httpx.Client(transport=transport, base_url="http://simulator", timeout=30.0) as client:
            yield client

    def _post(self, path: str, body: dict[str, str | int]) -> dict[str, int | bool]:
        try:
            with self._control() as client:
                answer = client.post(path, json=body)
        except httpx.TransportError as error:
            raise ConnectionFailed(
                f"the vSphere simulator does not answer: {error}", hint="is the lab up? dtesx lab status"
            ) from error
        fields = answer.json()
        if answer.status_code != httpx.codes.OK:
            raise Conflict(
                f"the vSphere simulator refused {path}: {fields.get('error')}", hint="check the name"
            )
        return msgspec.convert(fields, dict[str, int | bool])
