"""Forwards: a listener on a loopback address of the host, relayed to an address inside the lab.

The host keeps no route and no interface of the lab. The listener lives in the host's network
namespace; each connection is carried by a thread that enters the lab's namespace before it dials.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.lab.namespaces import enter_network

log = get_logger(__name__)

_CHUNK = 1 << 18
_DIAL_SECONDS = 10.0


@dataclass(frozen=True)
class Endpoint:
    """Where something listens."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class LoopbackClaim:
    """A loopback address of this host that one lab holds: 127.0.77.N, the first free N.

    The claim is an abstract Unix socket, which the kernel frees when the lab's process ends,
    however it ends.
    """

    def __init__(self) -> None:
        for number in range(1, 255):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0dtesx-lab-{number}")
            except OSError:
                claim.close()
                continue
            self.address = f"127.0.77.{number}"
            self._socket = claim
            return
        raise Conflict("all 254 loopback addresses for labs are in use", hint="take a lab down first")

    def __enter__(self) -> LoopbackClaim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


class Forwarder:
    """Relays TCP connections from ``address`` on the host to endpoints in a network namespace."""

    def __init__(self, namespace: str, address: str) -> None:
        self._namespace = namespace
        self._address = address
        self._listeners: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    def forward(self, target: Endpoint, *, port: int) -> Endpoint:
        """Listen on ``port`` (another free one when a program of the host holds it) for ``target``."""
        try:
            listener = _listen(self._address, port)
        except OSError:
            listener = _listen(self._address, 0)
        self._listeners.append(listener)
        name = f"forward-{target}"
        threading.Thread(target=self._accept, args=(listener, target), name=name, daemon=True).start()
        return Endpoint(self._address, listener.getsockname()[1])

    def close(self) -> None:
        """Stop listening and cut every connection."""
        with self._lock:
            self._closed = True
            victims = [*self._listeners, *self._open]
        for victim in victims:
            with suppress(OSError):
                victim.shutdown(socket.SHUT_RDWR)
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self, listener: socket.socket, target: Endpoint) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # the listener was shut down
                return
            threading.Thread(target=self._carry, args=(client, target), daemon=True).start()

    def _carry(self, client: socket.socket, target: Endpoint) -> None:
        with client:
            try:
                enter_network(self._namespace)
                server = socket.create_connection((target.address, target.port), _DIAL_SECONDS)
            except OSError as error:
                log.debug("forward cannot connect", target=str(target), error=str(error))
                return
            with server:
                server.settimeout(None)
                if not self._register(client, server):
                    return
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()
                with self._lock:
                    self._open -= {client, server}

    def _register(self, *pair: socket.socket) -> bool:
        with self._lock:
            if not self._closed:
                self._open |= set(pair)
            return not self._closed


def _listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=64, reuse_port=False)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end of ``source``, then tell ``sink`` so; a cut ends both ways."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
