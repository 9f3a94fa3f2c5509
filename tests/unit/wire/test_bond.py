"""Bonds over real sockets: what is sent arrives once and in order, whatever happens to the connections."""

from __future__ import annotations

import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.base.errors import ConnectionFailed, Interrupted, TargetFull
from dtesx.model.mirror import Compression
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK
from dtesx.wire.compression import Compressor
from dtesx.wire.connection import Connection
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import MAX_BLOB, Encoded, FrameType, encode
from dtesx.wire.messages import Credit, Goodbye, decode
from dtesx.wire.operations import Operations
from dtesx.wire.parts import FilePart, OpenFile
from dtesx.wire.protocol import failure
from dtesx.wire.stream import WINDOW, Memory


class Pair:
    """Two bonds and the sockets between them."""

    def __init__(self, stack: ExitStack, *, streams: int = 1, **options: object) -> None:
        self.stack = stack
        self.here = Bond(tick=lambda: None, **options)  # type: ignore[arg-type]
        self.there = Bond(tick=lambda: None)
        self.wires: dict[int, tuple[socket.socket, socket.socket]] = {}
        stack.callback(self.here.close)
        stack.callback(self.there.close)
        for slot in range(streams):
            self.connect(slot)

    def connect(self, slot: int) -> None:
        wire = self.wires[slot] = socket.socketpair()
        ours, theirs = self.here.incoming.received, self.there.incoming.received
        self.here.attach(slot, Connection(wire[0]), theirs)
        self.there.attach(slot, Connection(wire[1]), ours)

    def cut(self, slot: int) -> None:
        """Everything that is on its way is lost."""
        for end in self.wires.pop(slot):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)


def test_messages_arrive_in_order_with_their_content(pair: Pair) -> None:
    pair.here.send(Operations(0, []), [b"abc", memoryview(b"def")])
    pair.here.send(Credit(5))
    first, second = pair.there.receive(), pair.there.receive()
    assert (first.sequence, bytes(first.blob), decode(second)) == (1, b"abcdef", Credit(5))
    assert pair.there.poll() is None
    assert pair.here.wire_bytes == pair.there.wire_bytes > 0


def test_acknowledgements_free_what_was_in_flight(pair: Pair) -> None:
    pair.here.send(Credit(5))
    pair.there.receive()
    assert pair.here.outgoing.in_flight > 0
    pair.there.acknowledge(1, 0)
    pair.there.poll()
    pair.here.poll()
    assert (pair.here.outgoing.in_flight, pair.here.outgoing.unsettled > 0) == (0, True)


@pytest.mark.parametrize("streams", [1, 3])
def test_two_ends_that_both_send_much_do_not_block_each_other(streams: int) -> None:
    blob = os.urandom(4 << 20)
    arrived: list[bool] = []

    def talk(bond: Bond) -> None:
        for _ in range(4):
            bond.send(Operations(0, []), [blob])
        arrived.extend(bytes(bond.receive().blob) == blob for _ in range(4))
        while len(arrived) < 8:
            bond.step(TICK)

    with ExitStack() as stack:
        pair = Pair(stack, streams=streams)
        thread = threading.Thread(target=talk, args=(pair.there,))
        thread.start()
        talk(pair.here)
        thread.join(20)
    assert arrived == [True] * 8


@given(
    st.integers(1, 4),
    st.sampled_from(["off", "auto", "3"]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300_000)), max_size=12),
    st.integers(0, 1 << 32),
)
@settings(max_examples=60, deadline=None)
def test_dying_connections_lose_and_repeat_nothing(
    streams: int, compress: str, cuts: list[tuple[int, int]], seed: int
) -> None:
    dice = random.Random(seed)
    sent = [
        dice.randbytes(dice.choice([10, 1000, 60_000])) + bytes(dice.choice([0, 9000])) for _ in range(40)
    ]
    with ExitStack() as stack:
        pair = Pair(stack, streams=streams, compressor=Compressor(Compression.parse(compress)))
        file = stack.enter_context(tempfile.TemporaryFile())
        file.write(b"".join(sent))
        file.flush()
        opened, at = OpenFile(file.fileno(), straight=dice.random() < 0.7), 0
        got: list[bytes] = []
        due = sorted((at, slot % streams) for slot, at in cuts)

        def mind() -> None:
            while due and pair.here.wire_bytes >= due[0][0]:
                slot = due.pop(0)[1]
                if slot in pair.wires:
                    pair.cut(slot)
            for bond in (pair.here, pair.there):
                while (frame := bond.poll()) is not None:
                    got.append(bytes(frame.blob))
                    bond.acknowledge(frame.sequence, frame.sequence - frame.sequence % 3)
            for slot in range(streams):
                if slot not in pair.here.slots and slot not in pair.there.slots:
                    pair.wires.pop(slot, None)
                    pair.connect(slot)

        pair.here._tick = mind
        for blob in sent:
            late = FilePart(opened, at, len(blob))
            pair.here.send(Operations(0, []), [blob if dice.random() < 0.5 else late])
            at += len(blob)
        pair.here.travel()
        while len(got) < len(sent):
            pair.here.step(0)
        assert got == sent


def test_a_frame_torn_by_a_dying_connection_comes_again_whole() -> None:
    frame = b"".join(map(bytes, encode(FrameType.CREDIT, 1, b"\x91\x07")[0]))
    for cut in range(len(frame)):
        with ExitStack() as stack:
            pair = Pair(stack)
            raw = pair.wires[0][0]
            assert pair.there.poll() is None
            raw.sendall(frame[:cut])
            assert pair.there.poll() is None
            pair.cut(0)
            assert pair.there.poll() is None
            assert pair.there.slots == {}
            ours, theirs = socket.socketpair()
            with ours:
                pair.there.attach(0, Connection(theirs), 0)
                ours.sendall(frame)
                assert decode(pair.there.receive()) == Credit(7)


def test_what_one_connection_lost_goes_over_the_other() -> None:
    with ExitStack() as stack:
        pair = Pair(stack, streams=2)
        for number in range(6):
            pair.here.send(Credit(number))
        pair.wires[0][1].recv(1 << 20)  # gone for good
        pair.cut(0)
        got: list[object] = []
        while len(got) < 6:
            pair.here.step(0)
            if (frame := pair.there.poll()) is not None:
                got.append(decode(frame))
        assert got == [Credit(number) for number in range(6)]
        assert isinstance(pair.here.lost[0], ConnectionFailed)


def test_a_connection_in_the_place_of_one_that_is_not_known_to_be_dead(pair: Pair) -> None:
    pair.here.send(Credit(1))
    pair.wires[0][1].recv(1 << 20)
    pair.here.send(Credit(2))
    pair.connect(0)
    pair.here.send(Credit(3))
    assert [decode(pair.there.receive()) for _ in range(3)] == [Credit(1), Credit(2), Credit(3)]


def test_the_queue_holds_a_sender_back_until_things_are_durable() -> None:
    with ExitStack() as stack:
        pair = Pair(stack, queue=100_000)
        held: list[int] = []

        def tick() -> None:
            held.append(pair.here.outgoing.unsettled)
            while (frame := pair.there.poll()) is not None:
                durable = frame.sequence if len(held) > 3 else 0
                pair.there.acknowledge(frame.sequence, durable)
            if len(held) > 3:
                pair.there.acknowledge(pair.there.incoming.received, pair.there.incoming.received)
            pair.there.poll()

        pair.here._tick = tick
        for _ in range(4):
            pair.here.send(Operations(0, []), [bytes(40_000)])
        assert len(held) > 3
        assert max(held) < 140_200


def _flood(bond: Bond, message: Operations) -> None:
    while True:
        bond.send(message, [bytes(1 << 20)])


def test_a_failure_arrives_although_we_cannot_send_any_more(pair: Pair) -> None:
    pair.there._flush()
    thread = threading.Thread(target=pair.there.part, args=(failure(TargetFull("full", hint="free")), 5.0))
    thread.start()
    message = Operations(0, [])
    with pytest.raises(TargetFull, match="full") as caught:
        _flood(pair.here, message)
    assert caught.value.hint == "free"
    pair.cut(0)
    thread.join(10)


@pytest.mark.parametrize(
    "frame",
    [
        encode(FrameType.HELLO, 0, b"\x80")[0][0],
        encode(FrameType.WELCOME, 0, b"\x81\xa8protocol\x02")[0][0],
        encode(FrameType.ACKNOWLEDGEMENT, 0, b"\x92\x05\x05")[0][0],
        encode(FrameType.ACKNOWLEDGEMENT, 0, b"\x92\xff\xff")[0][0],
        encode(FrameType.ACKNOWLEDGEMENT, 0, b"\xc1")[0][0],
        encode(FrameType.OPERATIONS, 1 << 50, b"")[0][0],
    ],
)
def test_what_no_peer_may_send(pair: Pair, frame: bytes) -> None:
    pair.wires[0][0].sendall(frame)
    with pytest.raises(ProtocolError):
        pair.there.poll(TICK)


@given(st.lists(st.tuples(st.sampled_from(FrameType), st.integers(0, 5), st.binary(max_size=60))))
@settings(deadline=None)
def test_whatever_a_peer_sends_ends_the_session_at_most(frames: list[tuple[FrameType, int, bytes]]) -> None:
    with ExitStack() as stack:
        pair = Pair(stack)
        pair.wires[0][0].sendall(b"".join(bytes(encode(kind, at, table)[0][0]) for kind, at, table in frames))
        try:
            while (frame := pair.there.poll()) is not None:
                decode(frame)
        except Exception as error:
            assert isinstance(error, ProtocolError) or type(error).__module__ == "dtesx.base.errors"  # noqa: PT017


def test_the_tick_can_end_a_wait_without_any_connection() -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            raise Interrupted("enough", hint="-")

    bond = Bond(tick=tick)
    with pytest.raises(Interrupted):
        bond.receive()
    ticks = 0
    with pytest.raises(Interrupted):
        bond.send(Credit(1))
    bond.close()


def test_a_wait_can_be_ended_from_another_thread(pair: Pair) -> None:
    woken: list[Callable[[], None]] = []
    bond = pair.here
    bond.wake()
    bond.step(TICK)
    woken.append(bond.wake)
    bond.close()
    woken[0]()  # a thread that comes too late does no harm
    pair.stack.pop_all()
    pair.there.close()


def _hear_out(bond: Bond) -> None:
    bond.receive()
    bond.close()


@pytest.mark.parametrize("streams", [1, 3])
def test_the_last_message_ends_it(streams: int) -> None:
    with ExitStack() as stack:
        pair = Pair(stack, streams=streams)
        thread = threading.Thread(target=_hear_out, args=(pair.there,))
        thread.start()
        pair.here.finish(Goodbye(), 30)
        assert pair.here.slots == {}
        thread.join(10)
        stack.pop_all()
        pair.here.close()


def test_a_peer_that_hears_no_goodbye_is_not_waited_for(pair: Pair) -> None:
    pair.here.finish(Goodbye(), 0.0)
    assert pair.here.slots


class Room(Memory):
    """Has room for so many frames that are not durable."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def put(self, number: int, frame: Encoded) -> bool:
        return number - self._first < self.frames and super().put(number, frame)


def test_frames_run_ahead_of_what_is_held_back_until_there_is_no_room() -> None:
    with ExitStack() as stack:
        pair = Pair(stack, retention=Room(3))
        pair.here.held = True
        seen: list[int] = []

        def tick() -> None:
            while (frame := pair.there.poll()) is not None:
                seen.append(frame.sequence)
                pair.there.acknowledge(frame.sequence, frame.sequence)
            pair.there.poll()
            pair.here.held = False

        pair.here._tick = tick
        for number in range(3):
            pair.here.send(Credit(number))
            pair.here.move()
        assert pair.here.outgoing.sent == 0
        pair.here.send(Credit(3))
        assert pair.here.outgoing.last == 4
        assert seen[:1] == [1]


def test_a_peer_that_does_not_read_has_one_acknowledgement_waiting(pair: Pair) -> None:
    wire = pair.there.slots[0]
    pair.there._put(Operations(0, []), [bytes(MAX_BLOB)])  # more than the socket takes
    pair.there.step(0)
    for number in range(1, 50):
        pair.there.acknowledge(number, number)
        pair.there.step(0)
    assert wire.busy
    assert not wire._own


def test_while_there_is_work_the_peer_is_told_now_and_then(pair: Pair) -> None:
    for number in range(10):
        pair.here.send(Credit(number))
    told = []
    for _ in range(10):
        frame = pair.there.poll()
        assert frame is not None
        pair.there.acknowledge(frame.sequence, 0)
        pair.here.poll()
        told.append(pair.here.outgoing.applied)
    assert told[0] == 0
    assert 4 <= told[-1] < 10
    assert pair.there.poll() is None  # nothing is left to do, so all is told
    pair.here.poll()
    assert pair.here.outgoing.applied == 10


def test_a_peer_that_acknowledges_nothing_gets_a_window_full() -> None:
    with ExitStack() as stack:
        pair = Pair(stack, queue=WINDOW)
        over = threading.Event()

        def tick() -> None:
            if over.is_set():
                raise ConnectionFailed("enough")

        def send() -> None:
            with suppress(ConnectionFailed):
                while True:
                    pair.here.send(Operations(0, []), [bytes(1 << 20)])

        pair.here._tick = tick
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        stack.callback(sender.join, 10)
        stack.callback(over.set)
        deadline = time.monotonic() + 60
        while pair.there.poll(TICK) is not None or pair.there.wire_bytes <= WINDOW:
            assert time.monotonic() < deadline
        assert pair.there.wire_bytes <= WINDOW + (2 << 20)
