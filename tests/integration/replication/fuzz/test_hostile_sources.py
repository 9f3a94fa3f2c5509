"""Any sequence of messages from a source that is let in: the target ends the stream, or bears it."""

from __future__ import annotations

import os
import stat
import time
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dtesx.base.errors import ConnectionFailed, DtesxError
from dtesx.model.roots import SourceRoot
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK, Channel
from dtesx.wire.items import TEMPORARY_PREFIX, Item
from dtesx.wire.messages import Ask, Bind, Commit, Credit, Goodbye, List, Message, Report, Welcome
from dtesx.wire.operations import (
    Abort,
    Adjust,
    Begin,
    Copy,
    Data,
    End,
    Enter,
    Finish,
    Hole,
    Link,
    Make,
    Operation,
    Operations,
    Protect,
    Put,
    Remove,
    WireRule,
)
from dtesx.wire.protocol import answer, greeting
from dtesx.wire.sums import Basis, SumsRequest
from tests.integration.replication.conftest import Site
from tests.integration.replication.dialling import connected

from .conftest import still_serves

pytestmark = pytest.mark.integration

PLAIN = [b"a", b"b", b"c"]
ODD = [b"", b".", b"..", b"a/b", b"nul\0", b"n" * 256, TEMPORARY_PREFIX + b"1", b"\xff"]
NAMES = st.sampled_from(PLAIN * 20 + ODD)
PATHS = st.sampled_from(
    [b"", b"", b"a", b"a", b"b", b"a/b", b"b/a", b"a/b/c", b"..", b"/etc", b"a/../..", b"a//b"]
)
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([-1, 1 << 20, 1 << 62, (1 << 63) - 1]))
NUMBERS = st.one_of(st.integers(-1, 5), st.sampled_from([1 << 31, (1 << 63) - 1]))
KINDS = st.sampled_from(
    [stat.S_IFREG] * 4 + [stat.S_IFDIR] * 3 + [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, 0]
)
XATTRS = st.sampled_from(
    [(), (), ((b"user.a", b"1"),), ((b"trusted.dtesx.x", b"1"),), ((b"", b""), (b"nonsense", b""))]
)
BASES = st.one_of(st.none(), st.builds(Basis, NUMBERS, SIZES, NUMBERS))
FLAGS = st.sampled_from([0, -1, 0x10, 0x20, 0x40, -(1 << 40), 1 << 40])


@st.composite
def items(draw: st.DrawFn, outside: bytes) -> Item:
    texts = st.sampled_from(
        [outside, outside + b"/secret", outside + b"/sub", b"..", b"../outside", b"a", b"", b"x\0"]
    )
    return Item(
        draw(NAMES),
        draw(KINDS) | draw(st.sampled_from([0o644, 0o755, 0o6777, 0])),
        draw(st.sampled_from([0] * 30 + [7, (1 << 32) - 1, -1])),
        0,
        draw(NUMBERS),
        draw(st.sampled_from([0, 0, 3, 300, 1 << 20, 1 << 62, (1 << 64) - 1])),
        0,
        draw(st.sampled_from([0, os.makedev(1, 5), (1 << 64) - 1])),
        draw(texts),
        draw(XATTRS),
    )


def operations(outside: bytes) -> st.SearchStrategy[list[Operation]]:
    """Operations, such as make sense one after the other, or do not."""
    item, rules = items(outside), st.builds(WireRule, PATHS, st.booleans(), st.booleans(), st.booleans())
    pieces: st.SearchStrategy[Operation] = st.one_of(
        st.builds(Data, SIZES, st.integers(0, 9)),
        st.builds(Data, st.integers(0, 1 << 20), st.integers(1, 9)),
        st.builds(Copy, SIZES, SIZES, SIZES),
        st.builds(Hole, SIZES, SIZES),
    )
    others: st.SearchStrategy[Operation] = st.one_of(
        st.builds(Enter, PATHS),
        st.builds(Make, item),
        st.builds(Make, item),
        st.builds(Put, item, NUMBERS, FLAGS),
        st.builds(Put, item, NUMBERS, FLAGS),
        st.builds(Link, NAMES, PATHS),
        st.builds(Adjust, item, FLAGS),
        st.builds(Finish, item, FLAGS),
        st.builds(Protect, st.lists(rules, max_size=2), PATHS),
        st.builds(
            Remove,
            NAMES,
            st.one_of(st.none(), NUMBERS),
            st.sampled_from([b"", b"", b"x", b"../y", b"/z"]),
            st.booleans(),
        ),
    )
    strays = st.one_of(pieces, st.builds(Abort), st.builds(End, item, NUMBERS, FLAGS))
    single = st.integers(0, 20).flatmap(lambda dice: others if dice else strays)
    return st.one_of(single.map(lambda one: [one]), single.map(lambda one: [one]), files(pieces, item))


@st.composite
def files(
    draw: st.DrawFn, pieces: st.SearchStrategy[Operation], items: st.SearchStrategy[Item]
) -> list[Operation]:
    """A file in pieces, from its beginning to its end."""
    name, item = draw(NAMES), draw(items)
    whole = msgspec.structs.replace(item, name=name, mode=stat.S_IFREG | 0o644, target=b"")
    ends: list[Operation] = [End(whole, 0), End(whole, 0), End(item, 0), Abort()]
    end = draw(st.sampled_from(ends))
    return [Begin(name, draw(BASES), draw(st.booleans())), *draw(st.lists(pieces, max_size=4)), end]


ROOTS = st.sampled_from([0] * 30 + [1, -1])


def told(outside: bytes) -> st.SearchStrategy[tuple[Message, bytes]]:
    """A message and its content."""
    sums = st.one_of(st.just(b""), st.binary(max_size=40), st.just(bytes(16)))
    others: st.SearchStrategy[Message] = st.one_of(
        st.builds(
            Ask,
            ROOTS,
            st.lists(st.tuples(PATHS, st.sampled_from([b"", bytes(16)])), max_size=4),
            st.booleans(),
            st.booleans(),
        ),
        st.builds(List, ROOTS, NUMBERS, st.booleans()),
        st.builds(Credit, NUMBERS),
        st.builds(SumsRequest, ROOTS, NUMBERS, PATHS, NAMES, SIZES, SIZES, sums),
        st.builds(Bind, ROOTS, st.builds(SourceRoot, st.just("/x"), st.just(1), st.just(""), st.just(1))),
        st.builds(Commit, ROOTS),
        st.sampled_from([Goodbye(), Report()]),
    )
    lists = st.lists(operations(outside), max_size=5).map(lambda several: list(chain(*several)))
    several = st.builds(Operations, ROOTS, lists)
    return st.one_of(
        st.tuples(several, st.binary(max_size=400)),
        st.tuples(several, st.none()),
        st.tuples(others, st.just(b"")),
    ).map(lambda pair: (pair[0], _content(pair[0]) if pair[1] is None else pair[1]))


def _content(message: Message) -> bytes:
    """As much content as the operations speak of, so that not every frame ends the stream."""
    assert isinstance(message, Operations)
    sizes = [
        op.item.size if isinstance(op, Put) else op.length
        for op in message.operations
        if isinstance(op, (Put, Data))
    ]
    return b"x" * sum(size for size in sizes if 0 < size < 1 << 21)


def tell(site: Site, messages: list[tuple[Message, bytes]]) -> str:
    """Say all of it as an authenticated source; returns why the target ended the stream, if it did."""
    deadline = time.monotonic() + 30

    def tick() -> None:
        assert time.monotonic() < deadline, "the target neither goes on nor ends the stream"
        if not bond.slots:
            raise ConnectionFailed("gone")

    bond = Bond(tick=tick)
    try:
        channel = Channel(connected(site))
        channel.send(greeting("job", ("/data",), os.urandom(16)))
        bond.attach(0, channel.connection, answer(channel.receive(), Welcome).received)
        for message, blob in messages:
            bond.send(message, [blob] if blob else [])
        while bond.outgoing.applied < bond.outgoing.last:
            bond.poll(TICK)
        return ""
    except DtesxError as error:
        event(f"{error.code}: {error.message[:40]}")
        return error.message
    finally:
        bond.close()


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_messages_of_a_source(guarded: Site, outside: Path, data: st.DataObject) -> None:
    messages = st.lists(told(os.fsencode(outside)), min_size=1, max_size=12)
    assert "internal error" not in tell(guarded, data.draw(messages))
    assert guarded.target.is_dir()
    still_serves(guarded)
