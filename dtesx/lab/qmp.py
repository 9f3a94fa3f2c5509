"""Speaking with a running QEMU: its machine protocol, one JSON object a line over a Unix socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dtesx.base.errors import CommandFailed, ConnectionFailed

_SECONDS = 30.0

Message = Mapping[str, Any]


class Monitor:
    """One conversation; QEMU holds one at a time, so it should be short."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._events: list[Message] = []

    def execute(self, command: str, /, **arguments: object) -> Any:
        """Carry out a command and return what it answers. CommandFailed with QEMU's words."""
        request = {"execute": command, "arguments": arguments}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._read(_SECONDS)
            if "error" in message:
                raise CommandFailed(f"QEMU refused {command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def await_event(self, name: str, wanted: Callable[[Message], bool], *, timeout: float = _SECONDS) -> None:
        """Wait for an event whose data fit, also one that came while commands were carried out.

        ConnectionFailed when it does not come within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not any(e["event"] == name and wanted(e.get("data", {})) for e in self._events):
            self._read(deadline - time.monotonic())

    def greet(self) -> None:
        """What a conversation begins with (QEMU Machine Protocol Specification)."""
        self._read(_SECONDS)
        self.execute("qmp_capabilities")

    def close(self) -> None:
        """End it, so that QEMU listens to the next one."""
        self._lines.close()
        self._connection.close()

    def _read(self, seconds: float) -> Message:
        """The next message; an event is also remembered."""
        self._connection.settimeout(max(0.01, seconds))
        try:
            line = self._lines.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise ConnectionFailed("QEMU does not answer", hint="look whether the machine is still on")
        message: Message = json.loads(line)
        if "event" in message:
            self._events.append(message)
        return message


@contextmanager
def monitor(path: Path) -> Iterator[Monitor]:
    """A conversation over QEMU's socket at ``path``. ConnectionFailed when nobody is there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conversation = Monitor(connection)
    with closing(conversation):
        connection.settimeout(_SECONDS)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise ConnectionFailed(
                f"QEMU cannot be reached at {path}: {error.strerror}", hint="start the machine first"
            ) from error
        conversation.greet()
        yield conversation
