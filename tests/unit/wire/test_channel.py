from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.wire import channel as channel_module
from dtesx.wire.channel import Channel
from dtesx.wire.errors import ProtocolError
from dtesx.wire.messages import Credit, decode
from dtesx.wire.operations import Operations

Pair = tuple[Channel, Channel]


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


@pytest.fixture
def pair(sockets: tuple[socket.socket, socket.socket]) -> Pair:
    return Channel(sockets[0]), Channel(sockets[1])


def test_messages_arrive_in_order_with_their_content(pair: Pair) -> None:
    here, there = pair
    sequence, size = here.send(Operations(0, []), [b"abc", memoryview(b"def")])
    here.send(Credit(5))
    first, second = there.receive(), there.receive()
    assert (sequence, size, bytes(first.blob)) == (1, first.size, b"abcdef")
    assert decode(second) == Credit(5)
    assert here.sent == there.received == first.size + second.size
    assert there.poll() is None


def test_two_ends_that_both_send_much_do_not_block_each_other(pair: Pair) -> None:
    blob = os.urandom(4 << 20)
    arrived: list[bool] = []

    def talk(channel: Channel) -> None:
        for _ in range(4):
            channel.send(Operations(0, []), [blob])
        arrived.extend(bytes(channel.receive().blob) == blob for _ in range(4))

    thread = threading.Thread(target=talk, args=(pair[1],))
    thread.start()
    talk(pair[0])
    thread.join(10)
    assert arrived == [True] * 8


def test_a_closed_peer(pair: Pair) -> None:
    pair[1].send(Credit(1))
    pair[1].close()
    assert decode(pair[0].receive()) == Credit(1)
    with pytest.raises(ConnectionFailed, match="closed") as caught:
        pair[0].receive()
    assert caught.value.hint


def test_sending_to_a_closed_peer(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(ConnectionFailed, match="broke"):
        pair[0].send(Credit(1))


def test_garbage(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ProtocolError, match="does not speak"):
        Channel(sockets[1]).receive()


def test_the_tick_can_end_a_wait(sockets: tuple[socket.socket, socket.socket]) -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            raise Interrupted("enough", hint="-")

    started = time.monotonic()
    with pytest.raises(Interrupted):
        Channel(sockets[0], tick=tick).receive()
    assert time.monotonic() - started < 1
    ticks = 0
    with pytest.raises(Interrupted):
        Channel(sockets[0], tick=tick).send(Operations(0, []), [bytes(8 << 20)])


def test_a_peer_that_takes_nothing_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "_STALL", 0.3)
    with pytest.raises(ConnectionFailed, match="took nothing"):
        Channel(sockets[0]).send(Operations(0, []), [bytes(8 << 20)])
