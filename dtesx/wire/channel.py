"""A connection before its stream begins: a blocking face for greetings, for one thread."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from dtesx.wire.connection import Connection
from dtesx.wire.frames import Frame
from dtesx.wire.messages import Message

TICK = 0.2
"""Seconds between two calls of ``tick`` while waiting."""


def tune(sock: socket.socket) -> None:
    """Notice a dead peer within about 40 s, and send small frames at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 40_000)


class Channel:
    """Messages of a connection's greeting over ``sock``. ``tick`` is called while waiting and may raise.

    ``connection`` is what goes on when the greeting is over. Every method raises as Connection does.
    """

    def __init__(self, sock: socket.socket, *, tick: Callable[[], None] = lambda: None) -> None:
        self.connection = Connection(sock)
        self._tick = tick
        self._poll = select.poll()

    def send(self, message: Message) -> None:
        """Send a message."""
        connection = self.connection
        connection.queue(message)
        connection.write()
        while connection.busy:
            self._wait(connection.events)
            connection.write()

    def receive(self) -> Frame:
        """The next frame, waiting for it as long as the peer is alive."""
        while (frame := self.connection.read()) is None:
            self._wait(select.POLLIN)
        return frame

    def _wait(self, events: int) -> None:
        self._tick()
        self._poll.register(self.connection, events)
        self._poll.poll(1000 * TICK)

    def linger(self, seconds: float) -> None:
        """See that the peer can read our last frame (Connection.linger)."""
        self.connection.linger(seconds)

    def close(self) -> None:
        """Close the connection at once."""
        self.connection.close()
