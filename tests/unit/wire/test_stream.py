"""The stream under a simulated network: loss, reorder, duplicates, dying connections, a restarted peer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Decoder, Encoded, Frame, FrameType, encode, weigh
from dtesx.wire.stream import MAX_HELD, Incoming, Memory, Outgoing

SLOTS = 3


def operation(number: int) -> Encoded:
    return encode(FrameType.OPERATIONS, number, b"%d" % number)[0]


def decoded(parts: Encoded) -> Frame:
    data = b"".join(map(bytes, parts))
    decoder = Decoder()
    decoder.greeted = True
    frame = None
    while data:
        buffer = decoder.buffer()
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        data = data[count:]
        frame = decoder.advance(count)
    assert frame is not None
    return frame


@dataclass
class Network:
    """A sender, a receiver and the connections between them; everything applied is written down."""

    out: Outgoing = field(default_factory=Outgoing)
    into: Incoming = field(default_factory=Incoming)
    wires: dict[int, deque[Encoded]] = field(default_factory=dict)
    journal: list[int] = field(default_factory=list)  # what the present life of the receiver applied
    disk: list[int] = field(default_factory=list)  # what survives its death

    def connect(self, slot: int) -> None:
        if slot in self.wires:
            return
        if not self.wires:
            self.out.resume(self.into.received)
        self.wires[slot] = deque()

    def send(self, slot: int) -> None:
        if slot in self.wires and (data := self.out.take(slot)) is not None:
            self.wires[slot].append(data)

    def arrive(self, slot: int) -> None:
        if self.wires.get(slot):
            self.into.accept(decoded(self.wires[slot].popleft()))

    def duplicate(self, slot: int) -> None:
        if self.wires.get(slot):
            self.into.accept(decoded(self.wires[slot][0]))

    def cut(self, slot: int) -> None:
        """Whatever is on its way is lost, in the middle of a frame too."""
        if self.wires.pop(slot, None) is not None:
            self.out.lost(slot)

    def apply(self) -> None:
        if (frame := self.into.take()) is not None:
            self.journal.append(int(bytes(frame.table)))

    def sync(self) -> None:
        self.disk = list(self.journal)

    def acknowledge(self) -> None:
        if self.wires:
            self.out.acknowledge(len(self.journal), len(self.disk))

    def restart(self) -> None:
        """The receiver is killed and goes on with what it had on disk."""
        for slot in list(self.wires):
            self.cut(slot)
        self.journal = list(self.disk)
        self.into = Incoming()
        self.into.received = len(self.disk)

    def settle(self) -> None:
        """From here on nothing goes wrong."""
        for slot in range(SLOTS):
            self.connect(slot)
        while self.out.waiting or any(self.wires.values()) or self.into.ready:
            for slot in range(SLOTS):
                self.send(slot)
                self.arrive(slot)
            self.apply()
        self.sync()
        self.acknowledge()


slots = st.integers(0, SLOTS - 1)
steps = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["connect", "send", "arrive", "duplicate", "cut"]), slots),
    st.tuples(st.sampled_from(["apply", "sync", "acknowledge", "restart"]), st.just(0)),
)


@given(st.lists(steps, max_size=120))
def test_everything_is_applied_once_and_in_order_whatever_happens(script: list[tuple[str, int]]) -> None:
    net = Network()
    for what, value in script:
        if what == "put":
            for _ in range(value):
                net.out.put(operation(net.out.last + 1), 100)
        elif what in ("apply", "sync", "acknowledge", "restart"):
            getattr(net, what)()
        else:
            getattr(net, what)(value)
        assert net.journal == list(range(1, len(net.journal) + 1))
        assert net.out.durable <= len(net.disk)
        assert 0 <= net.out.in_flight <= net.out.unsettled == 100 * (net.out.sent - net.out.durable)
        assert net.out.in_flight == 100 * (net.out.sent - net.out.applied)
    net.settle()
    assert net.journal == list(range(1, net.out.last + 1))
    assert net.out.unsettled == net.out.in_flight == 0


@given(st.permutations(range(1, 9)), st.data())
def test_any_order_of_arrival_is_put_right(order: list[int], data: st.DataObject) -> None:
    into = Incoming()
    seen = []
    for number in order:
        for _ in range(data.draw(st.integers(1, 2))):
            into.accept(decoded(operation(number)))
        while (frame := into.take()) is not None:
            seen.append(frame.sequence)
    assert seen == list(range(1, 9))
    assert into.received == 8


def test_a_lost_connection_s_frames_go_over_another_first() -> None:
    out = Outgoing()
    for number in range(1, 6):
        out.put(operation(number), 1)
    assert [out.take(slot) for slot in (0, 1, 0, 1)] == [operation(number) for number in (1, 2, 3, 4)]
    out.acknowledge(1, 0)
    out.lost(0)
    assert [out.take(1) for _ in range(3)] == [operation(3), operation(5), None]


def test_a_peer_that_goes_on_gets_only_what_it_lacks() -> None:
    out = Outgoing()
    for number in range(1, 6):
        out.put(operation(number), 1)
        out.take(0)
    out.lost(0)
    out.resume(3)
    assert [out.take(0) for _ in range(3)] == [operation(4), operation(5), None]


def test_a_peer_that_lost_what_was_not_durable_gets_it_again() -> None:
    out = Outgoing()
    for number in range(1, 6):
        out.put(operation(number), 10)
        out.take(0)
    out.acknowledge(5, 2)
    assert (out.in_flight, out.unsettled) == (0, 30)
    out.lost(0)
    out.resume(2)
    assert (out.applied, out.in_flight) == (2, 30)
    assert [out.take(0) for _ in range(4)] == [operation(3), operation(4), operation(5), None]


def test_a_greeting_older_than_the_last_acknowledgement() -> None:
    out = Outgoing()
    for number in range(1, 4):
        out.put(operation(number), 1)
        out.take(0)
    out.acknowledge(3, 2)
    out.lost(0)
    out.resume(1)
    assert out.take(0) == operation(3)


@pytest.mark.parametrize(("applied", "durable"), [(3, 0), (1, 2), (9, 9)])
def test_impossible_acknowledgements_are_refused(applied: int, durable: int) -> None:
    out = Outgoing()
    for number in range(1, 4):
        out.put(operation(number), 1)
    out.take(0)
    out.take(0)
    with pytest.raises(ProtocolError, match="before they were sent"):
        out.acknowledge(applied, durable)


def test_older_acknowledgements_take_nothing_back() -> None:
    out = Outgoing()
    for number in range(1, 4):
        out.put(operation(number), 1)
        out.take(0)
    out.acknowledge(3, 2)
    out.acknowledge(2, 1)
    assert (out.applied, out.durable, out.in_flight, out.unsettled) == (3, 2, 0, 1)


def test_an_impossible_position_is_refused() -> None:
    out = Outgoing()
    out.put(operation(1), 1)
    with pytest.raises(ProtocolError, match="cannot be"):
        out.resume(1)


def test_a_receiver_holds_so_much_and_no_more() -> None:
    into = Incoming()
    blob = memoryview(bytes(8 << 20))
    most = MAX_HELD // len(blob)
    for number in range(2, most + 1):
        into.accept(Frame(FrameType.OPERATIONS, number, memoryview(b""), blob))
    with pytest.raises(ProtocolError, match="too far ahead"):
        into.accept(Frame(FrameType.OPERATIONS, most + 1, memoryview(b""), blob))
    with pytest.raises(ProtocolError, match="too far ahead"):
        Incoming().accept(Frame(FrameType.OPERATIONS, 1 << 40, memoryview(b""), memoryview(b"")))


def test_memory_forgets_what_is_released() -> None:
    memory = Memory()
    for number in range(1, 5):
        memory.put(number, operation(number))
    memory.release(2)
    assert memory.get(3) == operation(3)
    memory.release(1)
    assert memory.get(4) == operation(4)


def test_nothing_new_is_sent_while_too_much_is_not_durable() -> None:
    out = Outgoing(limit=25)
    for number in range(1, 7):
        assert out.put(operation(number), 10)
    assert [out.take(0) for _ in range(4)] == [operation(1), operation(2), operation(3), None]
    out.acknowledge(3, 0)
    assert (out.take(0), out.waiting) == (None, True)
    out.acknowledge(3, 1)
    assert [out.take(0) for _ in range(2)] == [operation(4), None]
    out.lost(0)
    out.resume(3)
    assert [out.take(0) for _ in range(2)] == [operation(4), None]


class Full(Memory):
    def put(self, number: int, frame: Encoded) -> bool:
        return number < 3 and super().put(number, frame)


def test_a_frame_for_which_there_is_no_room_is_not_part_of_the_stream() -> None:
    out = Outgoing(Full())
    assert [out.put(operation(number), 1) for number in (1, 2, 3)] == [True, True, False]
    assert out.last == 2
    assert [out.take(0) for _ in range(3)] == [operation(1), operation(2), None]


def test_frames_without_content_weigh_what_they_take() -> None:
    into = Incoming()
    most = MAX_HELD // weigh(0)
    for number in range(1, most + 1):
        into.accept(decoded(encode(FrameType.OPERATIONS, number, b"")[0]))
    with pytest.raises(ProtocolError, match="too far ahead"):
        into.accept(decoded(encode(FrameType.OPERATIONS, most + 1, b"")[0]))
