"""Memory has bounds at both ends, whatever the other one sends and however little it reads."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dtesx.base.errors import ConnectionFailed, Interrupted
from dtesx.mirror.tally import MAX_PROBLEMS
from dtesx.model.mirror import Compare
from dtesx.model.request import MirrorPhase
from dtesx.model.roots import ReplicaRoot
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.wire import messages
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK, Channel
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import FrameType
from dtesx.wire.items import Item
from dtesx.wire.messages import Answer, Ask, List, Listing, Message, Report, Welcome
from dtesx.wire.operations import Abort, Enter, Operations
from dtesx.wire.protocol import answer, greeting
from dtesx.wire.stream import WINDOW
from dtesx.wire.sums import Sums, SumsRequest
from tests.integration.replication.conftest import Site
from tests.integration.replication.dialling import connected

from .conftest import still_serves
from .test_hostile_targets import Script, _mirror, _verify, lying

pytestmark = pytest.mark.integration

SCRIPT = Script((ReplicaRoot(b"/data", empty=False),), [0], [(None, [], b"")], [], 2, 1000)


@pytest.mark.parametrize(
    ("question", "flood", "what", "why"),
    [
        (List, lambda message: Listing(message.root, []), _verify, "more than there is room for"),
        (Ask, lambda message: Answer(message.root, []), _mirror, "more than there is room for"),
        (SumsRequest, lambda message: Sums(message.number), _mirror, "nobody asked for|was due"),
    ],
)
def test_a_target_that_answers_without_end(
    tree: Site,
    question: type[Message],
    flood: Callable[[Any], Message],
    what: Callable[[Site, Compare], None],
    why: str,
) -> None:
    same = Item(b"large", 0o100644, 0, 0, 0, 716_800)
    script = replace(SCRIPT, entries=[[same]])
    with lying(tree, script, without_end=question, flood=flood), pytest.raises(ProtocolError, match=why):
        what(tree, Compare.ATTRIBUTES)


def test_what_a_target_says_of_paths_is_kept_within_bounds(tree: Site) -> None:
    long = Report([(b"%d" % number + b"p" * 100_000, "r" * 100_000) for number in range(16)])
    told: list[MirrorStats] = []
    control = MirrorControl()

    def progress(_phase: MirrorPhase, stats: MirrorStats) -> None:
        told.append(stats)
        if stats.problems:
            control.stop()

    with lying(tree, SCRIPT, without_end=Ask, flood=lambda _: long), pytest.raises(Interrupted):
        tree.mirror(on_progress=progress, control=control)
    problems = told[-1].problems
    assert 0 < len(problems) <= MAX_PROBLEMS
    assert all(len(problem.path) < 17 << 10 and len(problem.reason) < 400 for problem in problems)


def _opened(site: Site) -> Bond:
    """A bond to the target that acknowledges nothing; its waits fail after a minute."""
    deadline = time.monotonic() + 60

    def tick() -> None:
        assert time.monotonic() < deadline
        if not bond.slots:
            raise ConnectionFailed("the target closed")

    bond = Bond(tick=tick)
    channel = Channel(connected(site))
    channel.send(greeting("job", ("/data",), os.urandom(16)))
    bond.attach(0, channel.connection, answer(channel.receive(), Welcome).received)
    return bond


def test_a_source_that_acknowledges_nothing(guarded: Site) -> None:
    """Reports that it causes wait at the source, not in the target's memory."""
    nowhere = b"/".join([b"n" * 200] * 80)
    bond = _opened(guarded)
    try:
        for _ in range(40):
            bond.send(Operations(0, [Enter(nowhere + b"/%d" % number) for number in range(100)]))
        received = -1
        while received < bond.wire_bytes:  # until nothing more comes
            received = bond.wire_bytes
            while bond.poll(TICK) is not None:
                pass
        sent = bond.slots[0].sent
        assert WINDOW < received - sent < WINDOW + (1 << 20)
    finally:
        bond.close()
    still_serves(guarded)


def _repeat(bond: Bond, message: Message, times: int) -> None:
    for _ in range(times):
        bond.send(message)
    while bond.slots:  # until the target has said what it thinks of it
        bond.poll(TICK)


def test_a_source_that_asks_too_much(guarded: Site) -> None:
    bond = _opened(guarded)
    questions = Ask(0, [(b"/".join([b"n" * 200] * 5000), b"", None)] * 3)
    try:
        with pytest.raises(ProtocolError, match="too much was asked"):
            _repeat(bond, questions, 20)
    finally:
        bond.close()
    still_serves(guarded)


def test_long_paths_become_short_problems(guarded: Site) -> None:
    """A path that fits into a frame, and whose report would not."""
    bond = _opened(guarded)
    try:
        for _ in range(2):
            bond.send(Operations(0, [Enter(b"/".join([b"n" * 200] * 20_000)), Abort()]))
        frames = []
        while bond.outgoing.applied < 2 or bond.incoming.ready:
            if (frame := bond.poll(TICK)) is not None:
                frames.append(frame)
        reports = [m for m in map(messages.decode, frames) if isinstance(m, Report)]
        assert [len(path) for report in reports for path, _ in report.problems] == [16 << 10] * 2
    finally:
        bond.close()
    still_serves(guarded)


def test_callers_send_little_before_they_are_known(guarded: Site) -> None:
    header = struct.pack("!4sBBHQIII", b"DTSX", FrameType.OPERATIONS, 0, 0, 1, 4 << 20, 0, 4 << 20)
    for garbage in (header, header[:4] + b"\1" + header[5:8] + bytes(8) + header[16:]):
        with connected(guarded) as sock:
            sock.sendall(garbage)
            with pytest.raises(ProtocolError, match=r"greeting|before the stream"):
                answer(Channel(sock).receive(), Welcome)
    still_serves(guarded)
