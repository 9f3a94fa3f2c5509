"""A target that says anything: the source reads nothing outside its tree and ends with a named error."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dtesx.base.errors import ConnectionFailed, DtesxError
from dtesx.base.retry import Backoff
from dtesx.model.mirror import Compare, MirrorOptions, OrphanPolicy
from dtesx.model.request import MirrorRequest
from dtesx.model.roots import ReplicaRoot, SourceRoot
from dtesx.replication.verifying import remove_orphans, run_verify
from dtesx.wire import messages
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK, Channel
from dtesx.wire.items import Item
from dtesx.wire.messages import (
    Answer,
    Ask,
    Commit,
    Committed,
    Directory,
    Failure,
    Goodbye,
    Hello,
    List,
    Listing,
    Message,
    Paused,
    Refusal,
    Replicas,
    Report,
    Welcome,
)
from dtesx.wire.operations import Operations
from dtesx.wire.protocol import PROTOCOL
from dtesx.wire.sums import Basis, Sums, SumsRequest
from dtesx.wire.tls import server_context
from tests.integration.replication.conftest import Site

from .conftest import SECRET, state, still_serves, unopened

pytestmark = pytest.mark.integration

NAMES = st.sampled_from(
    [
        b"file",
        b"large",
        b"sub",
        b"below",
        b"away",
        b"to-secret",
        b"",
        b"..",
        b"/etc",
        b"a/b",
        b"\xff",
        b"secret",
    ]
)
NUMBERS = st.one_of(st.integers(-1, 3), st.sampled_from([700_000, 1 << 40, (1 << 63) - 1]))
MODES = st.sampled_from([0o100644] * 3 + [0o40755] * 3 + [0o120777, 0o10600, 0])
BASES = st.one_of(st.none(), st.builds(Basis, NUMBERS, st.sampled_from([0, 700_000, 1 << 40, -1]), NUMBERS))
ITEMS = st.builds(
    Item,
    NAMES,
    MODES,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NAMES,
    sum=st.binary(max_size=16),
)
ENTRIES = st.one_of(
    st.sampled_from([1, -1, 2, -3, 0]),
    st.lists(ITEMS, max_size=5).map(lambda found: sorted(found, key=lambda i: i.name)),
)
SUMS = st.tuples(
    BASES,
    st.lists(st.sampled_from([0, 1, 2, 5, 127, -1, 1 << 40]), max_size=4),
    st.one_of(st.binary(max_size=64), st.just(bytes(256))),
)
ROOTS = st.builds(
    ReplicaRoot,
    st.sampled_from([b"/", b"/data", b"", b"\0"]),
    st.booleans(),
    st.one_of(
        st.none(),
        st.builds(SourceRoot, st.just("/data"), NUMBERS, st.just("x"), NUMBERS, st.just(("a", "../x"))),
    ),
)
STRAYS: st.SearchStrategy[Message] = st.one_of(
    st.builds(Report, st.lists(st.tuples(NAMES, st.just("reason")), max_size=3), NUMBERS, NUMBERS),
    st.builds(Paused, st.sampled_from(["target-full", "busy", "x"]), st.just("reason")),
    st.builds(Committed, NUMBERS),
    st.builds(Answer, NUMBERS, st.lists(st.integers(-2, 2), max_size=2)),
    st.builds(Listing, NUMBERS, st.just([]), st.booleans()),
    st.builds(Sums, NUMBERS),
    st.builds(Replicas, st.lists(ROOTS, max_size=2).map(tuple)),
    st.builds(Failure, st.sampled_from(["target-full", "defect", "x"]), st.just("the target's words")),
    st.just(Goodbye()),
    st.builds(Commit, NUMBERS),
    st.builds(Operations, NUMBERS, st.just([])),
)


@dataclass(frozen=True)
class Script:
    """What a target says: to each question the next of its answers, and strays in between."""

    replicas: tuple[ReplicaRoot, ...]
    entries: list[int | list[Item]]
    sums: list[tuple[Basis | None, list[int], bytes]]
    strays: list[Message]
    every: int
    frames: int


SCRIPTS = st.builds(
    Script,
    st.lists(ROOTS, min_size=1, max_size=1).map(tuple) | st.just((ReplicaRoot(b"/data", empty=True),)),
    st.lists(ENTRIES, min_size=1, max_size=6),
    st.lists(SUMS, min_size=1, max_size=4),
    st.lists(STRAYS, max_size=3),
    st.integers(2, 6),
    st.integers(1, 60),
)


@dataclass
class Liar:
    """A target that follows a script on one connection, then refuses all others.

    To messages of the kind ``without_end`` it says what ``flood`` gives, over and over.
    """

    site: Site
    script: Script
    without_end: type[Message] | None = None
    flood: Callable[[Any], Message] = lambda message: message
    heard: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, listener: socket.socket) -> None:
        with suppress(OSError, DtesxError):
            self._serve(listener, lambda hello, channel: self._lie(channel))
        while True:
            try:
                self._serve(listener, lambda hello, channel: channel.send(Refusal("refused", "no more")))
            except (DtesxError, ssl.SSLError):
                continue
            except OSError:  # closed: the test is over
                return

    def _serve(self, listener: socket.socket, then: Callable[[Hello, Channel], None]) -> None:
        plain, _ = listener.accept()
        with server_context(self.site.them, [self.site.us.certificate]).wrap_socket(
            plain, server_side=True
        ) as sock:
            channel = Channel(sock, tick=self._tick)
            hello = messages.expect(messages.decode(channel.receive()), Hello)
            then(hello, channel)
            channel.close()

    def _tick(self) -> None:
        if self.over.is_set():
            raise ConnectionFailed("the test is over")

    def _lie(self, channel: Channel) -> None:
        channel.send(Welcome(PROTOCOL))
        script, bond = self.script, Bond(tick=self._tick)
        entries, sums, strays = cycle(script.entries), cycle(script.sums), cycle(script.strays or [Report()])
        try:
            bond.attach(0, channel.connection, 0)
            bond.send(Replicas(script.replicas))
            for count in range(script.frames):
                deadline = time.monotonic() + 0.3
                while (frame := bond.poll(TICK)) is None:
                    if not bond.slots or time.monotonic() > deadline:
                        return
                self.heard += [bytes(frame.table), bytes(frame.blob)]
                bond.acknowledge(frame.sequence, frame.sequence)
                if count % script.every == script.every - 1 and script.strays:
                    bond.send(next(strays))
                for reply in self._replies(messages.decode(frame), entries, sums):
                    bond.send(reply)
        finally:
            bond.close()

    def _replies(
        self,
        message: Message,
        entries: Iterator[int | list[Item]],
        sums: Iterator[tuple[Basis | None, list[int], bytes]],
    ) -> Iterator[Message]:
        while self.without_end is not None and isinstance(message, self.without_end):
            yield self.flood(message)
        if isinstance(message, Ask):
            found = [(path, next(entries)) for path, _, _ in message.directories]
            yield Answer(message.root, [e if isinstance(e, int) else Directory(path, e) for path, e in found])
        elif isinstance(message, List):
            for last in (False, True):
                listed = (next(entries) for _ in range(3))
                yield Listing(
                    message.root,
                    [Directory(b"sub" if last else b"", e) for e in listed if not isinstance(e, int)],
                    last,
                )
        elif isinstance(message, SumsRequest):
            basis, differing, fine = next(sums)
            yield Sums(message.number, basis, tuple(differing), fine)
        elif isinstance(message, Commit):
            yield Committed(message.root)


@contextmanager
def lying(site: Site, script: Script, **replies: Any) -> Iterator[Liar]:
    listener = socket.create_server(("127.0.0.1", 0))
    honest, site.port = site.port, listener.getsockname()[1]
    liar = Liar(site, script, **replies)
    thread = threading.Thread(target=liar.run, args=(listener,))
    thread.start()
    try:
        yield liar
    finally:
        site.port = honest
        liar.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


def _mirror(site: Site, compare: Compare) -> None:
    options = MirrorOptions(compare, remap_links=True)
    site.mirror(options=options, backoff=Backoff(first=0.01, cap=0.01, tries=2), rebind=True)


def _verify(site: Site, compare: Compare) -> None:
    run_verify(
        _request(site),
        site.us,
        report=lambda _found: None,
        progress=lambda _stats: None,
        stop=threading.Event(),
        opener=site.view,
        options=MirrorOptions(compare),
    )


def _remove(site: Site, _compare: Compare) -> None:
    options = MirrorOptions(orphans=OrphanPolicy())
    remove_orphans(_request(site), site.us, stop=threading.Event(), opener=site.view, options=options)


def _request(site: Site) -> MirrorRequest:
    return MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",), rebind=True)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    script=SCRIPTS,
    what=st.sampled_from([_mirror, _mirror, _verify, _remove]),
    compare=st.sampled_from(Compare),
)
def test_any_answers_of_a_target(
    tree: Site, script: Script, what: Callable[[Site, Compare], None], compare: Compare
) -> None:
    before = state(tree.source)
    with lying(tree, script) as liar:
        try:
            what(tree, compare)
        except DtesxError as error:
            event(f"{what.__name__}: {error.code}")
        else:
            event(f"{what.__name__}: done")
    assert not any(SECRET in heard for heard in liar.heard)
    assert state(tree.source) == before


def test_an_honest_mirror_after_lies(tree: Site) -> None:
    script = Script((ReplicaRoot(b"/", empty=False),), [[]], [(None, [1 << 40], b"")], [], 2, 40)
    with lying(tree, script), suppress(DtesxError):
        _mirror(tree, Compare.DATA)
    still_serves(tree)


def test_opening_is_seen(outside: Path) -> None:
    with pytest.raises(AssertionError), unopened(outside):
        (outside / "secret").read_bytes()
