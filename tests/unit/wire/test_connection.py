from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.wire.channel import Channel
from dtesx.wire.connection import Connection
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import FrameType, encode
from dtesx.wire.limiter import Limiter
from dtesx.wire.messages import Acknowledgement, Welcome, decode

Sockets = tuple[socket.socket, socket.socket]


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


def test_own_messages_go_before_the_stream_s(sockets: Sockets) -> None:
    here, there = Connection(sockets[0]), Connection(sockets[1])
    there.begin()
    frames = [encode(FrameType.OPERATIONS, number, b"", [b"x"])[0] for number in (1, 2)]
    here.queue(Acknowledgement(1, 1))
    here.write(lambda: frames.pop(0) if frames else None)
    assert not here.busy
    seen = [there.read() for _ in range(3)]
    assert [frame.sequence for frame in seen if frame] == [0, 1, 2]
    assert there.read() is None
    assert here.sent == there.received


def test_a_full_socket_keeps_the_rest_for_later(sockets: Sockets) -> None:
    here, there = Connection(sockets[0]), Connection(sockets[1])
    there.begin()
    blob = os.urandom(8 << 20)
    frames = [encode(FrameType.OPERATIONS, 1, b"", [blob])[0]]
    here.write(lambda: frames.pop() if frames else None)
    assert here.busy
    frame = None
    while frame is None:
        frame = there.read()
        here.write()
    assert bytes(frame.blob) == blob
    assert not here.busy


def test_a_limited_connection_sends_what_it_may(sockets: Sockets) -> None:
    now = 0.0
    here = Connection(sockets[0], Limiter(100_000, clock=lambda: now))
    frames = [encode(FrameType.OPERATIONS, 1, b"", [bytes(50_000)])[0]]
    here.write(lambda: frames.pop() if frames else None)
    assert here.sent == 0
    now = 10.0
    here.write()
    assert here.sent == 5000
    here.limiter.rate = 0
    here.write()
    assert not here.busy


def test_a_closed_peer(sockets: Sockets) -> None:
    here = Channel(sockets[0])
    there = Channel(sockets[1])
    there.send(Welcome(2))
    there.close()
    assert decode(here.receive()) == Welcome(2)
    with pytest.raises(ConnectionFailed, match="closed") as caught:
        here.receive()
    assert caught.value.hint
    with pytest.raises(ConnectionFailed, match="broke"):
        here.send(Welcome(2))


def test_garbage(sockets: Sockets) -> None:
    sockets[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ProtocolError, match="does not speak"):
        Channel(sockets[1]).receive()


def test_the_tick_can_end_a_wait(sockets: Sockets) -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            raise Interrupted("enough", hint="-")

    with pytest.raises(Interrupted):
        Channel(sockets[0], tick=tick).receive()


def test_lingering_delivers_the_last_word(sockets: Sockets) -> None:
    here, there = Connection(sockets[0]), Connection(sockets[1])
    sockets[1].sendall(b"unread")
    here.queue(Welcome(7))
    started = time.monotonic()
    there.end()
    here.linger(30)
    here.close()
    assert time.monotonic() - started < 10
    frame = there.read()
    assert frame is not None
    assert decode(frame) == Welcome(7)
