from __future__ import annotations

import msgspec
import pytest

from dtesx.base.errors import Conflict, DtesxError, Refused, TargetFull
from dtesx.wire import messages
from dtesx.wire.errors import ProtocolError, StreamUnknown
from dtesx.wire.frames import Frame
from dtesx.wire.messages import (
    Acknowledgement,
    Answer,
    Ask,
    Challenge,
    Commit,
    Committed,
    Credit,
    Directory,
    Goodbye,
    Hello,
    Knock,
    List,
    Listing,
    Message,
    Pair,
    Paired,
    Refusal,
    Welcome,
    encode,
)
from dtesx.wire.operations import Operations
from dtesx.wire.protocol import (
    LISTING_CREDIT,
    MAX_QUESTIONS,
    PROTOCOL,
    SourceProtocol,
    TargetProtocol,
    answer,
    failure,
    greeting,
    opening,
    refusal,
    response,
)
from dtesx.wire.sums import Sums, SumsRequest


def frame(message: Message) -> Frame:
    kind, table = encode(message)
    return Frame(kind, 1, memoryview(table), memoryview(b""))


def target() -> TargetProtocol:
    return TargetProtocol(("/", "/srv"))


def test_greeting() -> None:
    hello = greeting("job", ("/srv",), b"s" * 16)
    assert opening(frame(hello)) == hello
    welcome = Welcome(PROTOCOL, received=7)
    assert answer(frame(welcome), Welcome) == welcome


@pytest.mark.parametrize("hello", [Hello(PROTOCOL + 1, "job", ("/",)), Knock(PROTOCOL - 1, "", "")])
def test_refusals_reach_the_source_as_refusals(hello: Hello | Knock) -> None:
    with pytest.raises(Refused, match="protocol") as refused:
        opening(frame(hello))
    for due in (Welcome, Challenge):
        with pytest.raises(Refused, match=refused.value.message.split(",")[0]) as arrived:
            answer(frame(refusal(refused.value)), due)
        assert arrived.value.hint == refused.value.hint != ""


@pytest.mark.parametrize("change", [{"stream": b""}, {"stream": bytes(17)}, {"slot": -1}, {"slot": 16}])
def test_impossible_streams(change: dict[str, object]) -> None:
    hello = msgspec.structs.replace(greeting("job", ("/",), bytes(16)), **change)
    with pytest.raises(ProtocolError, match="impossible stream"):
        opening(frame(hello))
    with pytest.raises(ProtocolError, match="impossible stream"):
        response(frame(hello))


def test_what_answers_a_challenge() -> None:
    pair = Pair("certificate", "host", "proof")
    hello = msgspec.structs.replace(greeting("job", ("/",), bytes(16)), proof="proof")
    assert response(frame(pair)) == pair
    assert response(frame(hello)) == hello
    with pytest.raises(ProtocolError, match="Hello was due"):
        response(frame(Knock(PROTOCOL, "", "")))
    with pytest.raises(Refused, match="protocol"):
        response(frame(Hello(PROTOCOL + 1, "job", ("/",))))


def test_another_answer_than_the_one_that_was_due() -> None:
    assert answer(frame(Paired("proof")), Paired) == Paired("proof")
    with pytest.raises(ProtocolError, match="Paired was due"):
        answer(frame(Welcome(PROTOCOL)), Paired)


def test_a_refusal_of_unknown_code_is_still_refused() -> None:
    with pytest.raises(Refused, match="because"):
        answer(frame(Refusal("new-code", "because", "hint")), Welcome)


@pytest.mark.parametrize(
    "error",
    [TargetFull("full", hint="free"), Conflict("taken", hint="wait"), StreamUnknown("gone", hint="again")],
)
def test_refusals_and_failures_become_the_same_error_again(error: DtesxError) -> None:
    for told in (refusal(error), failure(error)):
        with pytest.raises(type(error)) as arrived:
            answer(frame(told), Welcome)
        assert (arrived.value.message, arrived.value.hint) == (error.message, error.hint)


@pytest.mark.parametrize(
    "message",
    [
        Listing(0, []),
        Committed(0),
        Welcome(PROTOCOL),
        Hello(PROTOCOL, "job", ()),
        Operations(0, []),
        Credit(1),
        List(0, 1),
        Ask(0, []),
        Answer(0, [1]),
    ],
)
def test_what_a_source_did_not_ask_for(message: Message) -> None:
    with pytest.raises(ProtocolError):
        SourceProtocol().receive(frame(message))


def test_listing_and_commit_of_another_root() -> None:
    here = SourceProtocol()
    here.list_root(1)
    with pytest.raises(ProtocolError):
        here.receive(frame(Listing(0, [])))
    here.receive(frame(Listing(1, [], last=True)))
    with pytest.raises(ProtocolError):
        here.receive(frame(Listing(1, [])))
    here.commit_root(1)
    assert here.committing
    with pytest.raises(ProtocolError):
        here.receive(frame(Committed(0)))
    here.receive(frame(Committed(1)))
    assert not here.committing


@pytest.mark.parametrize(
    "message",
    [
        List(2, 1),
        List(-1, 1),
        List(0, 0),
        List(0, 1000),
        Ask(2, []),
        Ask(0, [(b"", b"", None)] * (MAX_QUESTIONS + 1)),
        Answer(0, []),
        Commit(2),
        Operations(9, []),
        Credit(0),
        Credit(-5),
        Credit(65),
        Welcome(PROTOCOL),
        Hello(PROTOCOL, "job", ("/",)),
        Acknowledgement(1, 1),
    ],
)
def test_what_a_target_does_not_take(message: Message) -> None:
    with pytest.raises(ProtocolError):
        target().receive(frame(message))


@pytest.mark.parametrize("message", [List(0, 1), Operations(0, []), Commit(0), Welcome(PROTOCOL)])
def test_nothing_before_the_greeting(message: Message) -> None:
    with pytest.raises(ProtocolError, match="Hello was due"):
        opening(frame(message))
    with pytest.raises(ProtocolError, match="Welcome was due"):
        answer(frame(message) if message != Welcome(PROTOCOL) else frame(Credit(1)), Welcome)


@pytest.mark.parametrize("message", [Operations(0, []), Commit(0), Goodbye()])
def test_nothing_but_talk_during_a_commit(message: Message) -> None:
    there = target()
    there.receive(frame(Commit(0)))
    with pytest.raises(ProtocolError, match="out of turn"):
        there.receive(frame(message))
    there.committed()
    there.receive(frame(Operations(0, [])))


def test_answers_without_questions() -> None:
    here = SourceProtocol()
    here.ask(1, [(b"", b"", None), (b"a", b"digest", None), (b"b", b"", None), (b"c", b"", None)], last=True)
    with pytest.raises(ProtocolError, match="nobody asked"):
        here.receive(frame(Answer(0, [])))
    here.receive(frame(Answer(1, [Directory(b"", [], more=True)])))
    here.receive(frame(Answer(1, [Directory(b"", []), 1, -2])))
    with pytest.raises(ProtocolError, match="nobody asked"):
        here.receive(frame(Answer(1, [1])))


def test_one_root_is_told_at_a_time_within_its_credit() -> None:
    there = target()
    there.receive(frame(Ask(0, [(b"", b"", None)])))
    for other in (Ask(1, []), List(0, 1)):
        with pytest.raises(ProtocolError):
            there.receive(frame(other))
    there.told(Answer(0, [Directory(b"", [], more=True)]))
    there.receive(frame(Ask(0, [(b"a", b"", None)], last=True)))
    with pytest.raises(ProtocolError):
        there.receive(frame(Ask(0, [])))
    there.told(Answer(0, [Directory(b"", [])]))
    assert not there.all_told()
    there.told(Answer(0, [1]))
    assert there.credit == LISTING_CREDIT - 3
    assert there.all_told()
    there.receive(frame(Ask(1, [], last=True)))
    there.receive(frame(Credit(3)))
    assert there.credit == LISTING_CREDIT + 3


def test_one_listing_at_a_time_within_its_credit() -> None:
    there = target()
    there.receive(frame(List(0, 2)))
    with pytest.raises(ProtocolError, match="under way"):
        there.receive(frame(List(1, 2)))
    there.listed(last=False)
    there.listed(last=True)
    assert there.credit == 0
    there.receive(frame(List(1, 2)))
    there.receive(frame(Credit(3)))
    assert there.credit == 5


def test_a_target_tells_no_more_than_there_is_room_for() -> None:
    here = SourceProtocol()
    here.list_root(0)
    for _ in range(LISTING_CREDIT):
        here.receive(frame(Listing(0, [])))
    assert here.more() == Credit(1)
    here.receive(frame(Listing(0, [])))
    with pytest.raises(ProtocolError, match="room"):
        here.receive(frame(Listing(0, [])))


def test_room_for_answers_begins_anew_with_each_root() -> None:
    here, there = SourceProtocol(), TargetProtocol(("/a", "/b"))
    for root in (0, 1):
        for count in range(10):
            there.receive(frame(here.ask(root, [(b"", b"", None)], last=count == 9)))
            here.receive(frame(Answer(root, [1])))
            there.told(Answer(root, [1]))
            there.all_told()
            there.receive(frame(here.more()))
            assert here._credit == there.credit == LISTING_CREDIT
    here.ask(0, [(b"", b"", None)] * 10, last=True)
    for _ in range(LISTING_CREDIT):
        here.receive(frame(Answer(0, [1])))
    with pytest.raises(ProtocolError, match="room"):
        here.receive(frame(Answer(0, [1])))


def test_sums_come_once_for_each_request() -> None:
    here = SourceProtocol()
    here.ask_sums(SumsRequest(0, 1, b"", b"a", 0, 1, b""))
    here.receive(frame(Sums(1)))
    with pytest.raises(ProtocolError, match="nobody asked"):
        here.receive(frame(Sums(1)))


@pytest.mark.parametrize("sums", [Sums(1, None, (1,) * 5000), Sums(1, None, (), bytes(1 << 20))])
def test_sums_of_more_than_anyone_asks_for(sums: Sums) -> None:
    here = SourceProtocol()
    here.ask_sums(SumsRequest(0, 1, b"", b"a", 0, 1, b""))
    with pytest.raises(ProtocolError, match="malformed"):
        here.receive(frame(sums))


def test_long_reasons_are_cut() -> None:
    error = DtesxError("m" * 10_000_000, hint="h" * 10_000_000)
    assert len(messages.encode(failure(error))[1]) < 5000
    assert len(messages.encode(refusal(error))[1]) < 5000
