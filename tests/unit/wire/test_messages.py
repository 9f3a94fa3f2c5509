from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.wire import messages
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame, FrameType
from dtesx.wire.items import Item
from dtesx.wire.messages import (
    Acknowledgement,
    Credit,
    Directory,
    Hello,
    Listing,
    Message,
    Report,
    decode,
    encode,
)
from dtesx.wire.operations import Adjust, Data, End, Enter, Finish, Link, Make, Operations, Put, Remove

names = st.binary(min_size=1, max_size=20)
integers = st.integers(0, 2**32 - 1)
items = st.builds(
    Item,
    names,
    st.integers(0, 0o177777),
    integers,
    integers,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**62),
    integers,
    integers,
    st.binary(max_size=10),
    st.lists(st.tuples(names, st.binary(max_size=9)), max_size=3).map(tuple),
)
operations = st.one_of(
    st.builds(Enter, names),
    st.builds(Make, items),
    st.builds(Put, items, integers, integers),
    st.builds(Data, integers, integers),
    st.builds(End, items, integers, integers),
    st.builds(Link, names, names),
    st.builds(Adjust, items, integers),
    st.builds(Remove, names),
    st.builds(Finish, items, integers),
)
any_message = st.one_of(
    st.builds(Hello, st.integers(0, 9), st.text(), st.lists(st.text()).map(tuple)),
    st.builds(Listing, integers, st.lists(st.builds(Directory, names, st.lists(items)), max_size=3)),
    st.builds(Operations, integers, st.lists(operations, max_size=5)),
    st.builds(Acknowledgement, integers, integers),
    st.builds(Report, st.lists(st.tuples(names, st.text()), max_size=3), integers),
)


def frame(kind: FrameType, table: bytes, blob: bytes = b"") -> Frame:
    return Frame(kind, 1, memoryview(table), memoryview(blob))


@given(any_message)
def test_round_trip(message: Message) -> None:
    assert decode(frame(*encode(message))) == message


@given(st.sampled_from(FrameType), st.binary(max_size=200))
def test_garbage_never_raises_anything_else(kind: FrameType, garbage: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(frame(kind, garbage))


@given(any_message, st.data())
def test_truncated_tables_are_refused(message: Message, data: st.DataObject) -> None:
    kind, table = encode(message)
    with pytest.raises(ProtocolError):
        decode(frame(kind, table[: data.draw(st.integers(0, len(table) - 1))]))


@pytest.mark.parametrize("table", [b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"])
def test_deep_and_boastful_tables_are_refused(table: bytes) -> None:
    for kind in FrameType:
        with pytest.raises(ProtocolError):
            decode(frame(kind, table))


def test_only_operations_carry_content() -> None:
    kind, table = encode(Credit(1))
    with pytest.raises(ProtocolError, match="blob"):
        decode(frame(kind, table, b"x"))


def test_a_hello_of_a_later_version_is_readable() -> None:
    later = msgspec.msgpack.encode({"protocol": 9, "job": "j", "roots": ["/"], "novelty": [1, 2]})
    assert decode(frame(FrameType.HELLO, later)) == Hello(9, "j", ("/",))


def test_expect_names_both() -> None:
    with pytest.raises(ProtocolError, match="Credit arrived where Hello was due"):
        messages.expect(Credit(1), Hello)


@pytest.mark.parametrize(
    ("field", "number"),
    [(field, -1) for field in ("mode", "uid", "gid", "size", "link", "rdev")]
    + [("mode", 1 << 16), ("uid", 1 << 32), ("gid", 1 << 32)],
)
def test_an_item_that_no_file_can_be_is_malformed(field: str, number: int) -> None:
    values = {"mode": 0o100644, "uid": 0, "gid": 0, "mtime_ns": 0, "size": 0, "link": 0, "rdev": 0}
    table = msgspec.msgpack.encode([0, [[3, [b"x", *(values | {field: number}).values()], 0]]])
    with pytest.raises(ProtocolError, match="malformed"):
        messages.decode(frame(FrameType.OPERATIONS, table))
    assert messages.decode(
        frame(FrameType.OPERATIONS, msgspec.msgpack.encode([0, [[3, [b"x", *values.values()], 0]]]))
    )


def test_text_that_is_no_utf8_is_malformed() -> None:
    table = msgspec.msgpack.encode({"protocol": 1, "job": "jjjj", "roots": ["/"]}).replace(
        b"jjjj", b"jj\x9cj"
    )
    with pytest.raises(ProtocolError, match="malformed"):
        messages.decode(frame(FrameType.HELLO, table))
