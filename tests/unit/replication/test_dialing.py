from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dtesx.base.errors import ConnectionFailed, Refused
from dtesx.base.retry import Backoff, wait_until
from dtesx.replication.dialing import Dialer
from dtesx.wire.bond import Bond
from dtesx.wire.channel import Channel
from dtesx.wire.errors import StreamUnknown
from dtesx.wire.limiter import Limiter
from dtesx.wire.messages import Credit, Hello, Welcome
from dtesx.wire.protocol import PROTOCOL, greeting

Answer = Callable[[Hello], tuple[Channel, Welcome]]


class Line:
    """A dialer whose calls are answered by ``answers``, one after the other, the last one for good."""

    def __init__(self, stack: ExitStack, answers: list[Answer], slots: int = 1, rate: int = 0) -> None:
        self.now = 0.0
        self.limiter = Limiter(rate, clock=lambda: self.now)
        self.hellos: list[Hello] = []
        self.ends: list[socket.socket] = []
        self.bond = Bond(tick=lambda: None)
        self._answers = answers
        self.dialer = Dialer(
            self.bond,
            self._call,
            greeting("job", ("/",), bytes(16)),
            slots=slots,
            backoff=Backoff(first=1, cap=4, tries=3),
            limiter=self.limiter,
            clock=lambda: self.now,
        )
        stack.callback(self.bond.close)
        stack.callback(self.dialer.close)
        stack.callback(self._hang_up)

    def _hang_up(self) -> None:
        for end in self.ends:
            end.close()

    def _call(self, hello: Hello) -> tuple[Channel, Welcome]:
        self.hellos.append(hello)
        return (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])(hello)

    def goes_on(self, seconds: float) -> int:
        """What may be sent after so many seconds."""
        self.now += seconds
        self.maintain(lambda: True)
        return self.limiter.allowance() or 0

    def welcome(self, _hello: Hello) -> tuple[Channel, Welcome]:
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        return Channel(ours), Welcome(PROTOCOL, received=self.bond.outgoing.last)

    def maintain(self, until: Callable[[], bool], *, patient: bool = False) -> None:
        assert wait_until(lambda: self._maintained(until, patient), timeout=10, interval=0.005)

    def _maintained(self, until: Callable[[], bool], patient: bool) -> bool:
        self.dialer.maintain(patient=patient)
        return until()


def gone(_hello: Hello) -> tuple[Channel, Welcome]:
    raise ConnectionFailed("nobody there", hint="look")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_first_connection_begins_the_stream_and_the_others_join(stack: ExitStack) -> None:
    line = Line(stack, [], slots=3)
    line._answers.append(line.welcome)
    line.maintain(lambda: len(line.bond.slots) == 3)
    first, *others = line.hellos
    assert (first.slot, first.resume) == (0, False)
    assert sorted((hello.slot, hello.resume) for hello in others) == [(1, True), (2, True)]


def test_a_lost_connection_is_made_again_in_its_slot_after_a_delay(stack: ExitStack) -> None:
    line = Line(stack, [])
    line._answers.append(line.welcome)
    line.maintain(lambda: bool(line.bond.slots))
    line.ends[0].close()
    assert line.bond.poll() is None
    line.dialer.maintain()
    assert len(line.hellos) == 1
    line.now = 1.0
    line.maintain(lambda: bool(line.bond.slots))
    assert (line.hellos[1].slot, line.hellos[1].resume) == (0, True)


def test_tries_are_used_up(stack: ExitStack) -> None:
    line = Line(stack, [gone])

    def later() -> bool:
        line.now += 10
        return False

    with pytest.raises(ConnectionFailed, match="for good: nobody there") as caught:
        line.maintain(later)
    assert caught.value.hint == "look"
    assert len(line.hellos) == 3


def test_tries_count_anew_when_the_target_took_something(stack: ExitStack) -> None:
    line = Line(stack, [])
    line._answers.append(line.welcome)
    for number in range(1, 10):
        line.now += 10
        line.maintain(lambda: bool(line.bond.slots))
        line.bond.send(Credit(number))
        line.bond.outgoing.acknowledge(number, number)
        line.ends.pop().close()
        line.bond.poll()
        line.dialer.maintain()
    assert len(line.hellos) == 9


def test_as_long_as_one_connection_holds_the_others_are_tried_for_ever(stack: ExitStack) -> None:
    line = Line(stack, [], slots=2)
    line._answers += [line.welcome, gone]

    def many() -> bool:
        line.now += 10
        return len(line.hellos) > 8

    line.maintain(many)
    assert list(line.bond.slots) == [0]


def test_while_it_is_patient_tries_are_not_used_up(stack: ExitStack) -> None:
    line = Line(stack, [gone])

    def later() -> bool:
        line.now += 10
        return len(line.hellos) > 8

    line.maintain(later, patient=True)
    with pytest.raises(ConnectionFailed, match="for good"):
        line.maintain(lambda: later() and False)
    assert len(line.hellos) <= 12


@pytest.mark.parametrize("error", [Refused("no", hint="-"), StreamUnknown("gone", hint="-")])
def test_refusals_end_it(stack: ExitStack, error: Refused) -> None:
    def refuse(_hello: Hello) -> tuple[Channel, Welcome]:
        raise error

    line = Line(stack, [refuse])
    with pytest.raises(type(error)):
        line.maintain(lambda: False)


def test_what_a_call_sends_is_saved_up_before_it_and_counted_after_it(stack: ExitStack) -> None:
    line = Line(stack, [], slots=2, rate=100_000)
    line._answers.append(line.welcome)
    line.maintain(lambda: len(line.bond.slots) == 1)
    assert len(line.hellos) == 1  # at once; the other one has to wait
    assert line.goes_on(0.02) == 0
    line.maintain(lambda: True)
    assert len(line.hellos) == 1
    line.goes_on(0.02)
    line.maintain(lambda: len(line.bond.slots) == 2)
    assert line.goes_on(0.02) == 0
    assert line.goes_on(1.0) == 5_000
