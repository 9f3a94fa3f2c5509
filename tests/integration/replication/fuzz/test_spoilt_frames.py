"""The frames of a real mirror, spoilt on their way: bytes, lengths, numbers, order."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dtesx.base.errors import ConnectionFailed, DtesxError
from dtesx.model.mirror import MirrorOptions
from dtesx.wire import messages
from dtesx.wire.bond import Bond
from dtesx.wire.channel import Channel
from dtesx.wire.frames import FrameType, encode
from dtesx.wire.messages import Acknowledgement, Failure, Message, Welcome
from dtesx.wire.protocol import answer, greeting
from tests.integration.replication.conftest import Site
from tests.integration.replication.dialling import connected

from .conftest import still_serves

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Sent:
    """A frame as a source sends it; ``cut`` ends it early."""

    sequence: int
    kind: int
    table: bytes
    blob: bytes
    cut: int | None = None

    @property
    def data(self) -> bytes:
        parts, _ = encode(FrameType.OPERATIONS, self.sequence, self.table, [self.blob])
        whole = b"".join(map(bytes, parts))
        return (whole[:4] + bytes([self.kind]) + whole[5:])[: self.cut]


@pytest.fixture
def recorded(guarded: Site, monkeypatch: pytest.MonkeyPatch) -> list[Sent]:
    """What a source says in a mirror that has some of everything to do."""
    source, target = guarded.source, guarded.target
    for name in ("same", "larger", "grown", "sub/file"):
        for root in (source, target):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(bytes(range(256)) * 2400)
    (source / "larger").write_bytes(os.urandom(700_000))
    with (source / "grown").open("ab") as file:
        file.write(b"more")
    (source / "new").mkdir()
    for number in range(20):
        (source / "new" / f"f{number}").write_bytes(os.urandom(number * 30))
    (source / "link").symlink_to("same")
    os.link(source / "same", source / "new" / "hard")
    os.mkfifo(source / "fifo")
    (target / "orphan").mkdir()
    (target / "orphan" / "below").touch()
    frames: list[Sent] = []
    put = Bond._put

    def record(bond: Bond, message: Message, blob: Sequence[bytes | memoryview] = ()) -> None:
        if threading.current_thread() is threading.main_thread():  # the target has its own
            kind, table = messages.encode(message)
            frames.append(Sent(bond.outgoing.last + 1, kind, table, b"".join(blob)))
        put(bond, message, blob)

    with monkeypatch.context() as patch:
        patch.setattr(Bond, "_put", record)
        guarded.mirror(options=MirrorOptions(in_place=True))
    assert len(frames) > 8
    assert frames[-1].kind == FrameType.GOODBYE  # for which a source waits until all is committed
    return frames[:-1]


@st.composite
def spoilt(draw: st.DrawFn, frames: list[Sent]) -> list[Sent]:
    frames = list(frames)
    for _ in range(draw(st.integers(1, 3))):
        at, other = (draw(st.integers(0, len(frames) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["frame", "frame", "frame", "twice", "gone", "swap", "cut"]))
        if how == "frame":
            frames[at] = draw(other_frame(frames[at]))
        elif how == "twice":
            frames.insert(at, frames[other])
        elif how == "gone" and len(frames) > 1:
            del frames[at]
        elif how == "swap":
            frames[at], frames[other] = frames[other], frames[at]
        elif how == "cut":
            frames[at:] = [replace(frames[at], cut=draw(st.integers(0, len(frames[at].data))))]
    return frames


@st.composite
def other_frame(draw: st.DrawFn, frame: Sent) -> Sent:
    table, at = frame.table, draw(st.integers(0, len(frame.table) - 1))
    byte = bytes([draw(st.integers(0, 255))])
    ways = [replace(frame, table=table[:at] + byte + table[at + 1 :])] * 4
    ways += [replace(frame, table=table[: at + 1]), replace(frame, kind=draw(st.integers(0, 45)))]
    ways += [replace(frame, blob=frame.blob[:-1]), replace(frame, blob=frame.blob + b"x")]
    ways += [replace(frame, sequence=number) for number in (0, 1, frame.sequence + 1, 1 << 40)]
    return draw(st.sampled_from(ways))


def replay(site: Site, frames: list[Sent]) -> str:
    """Send frames; returns how the target took them: an error's code, or that it applied what it could."""
    sock = connected(site)
    channel = Channel(sock)
    deadline = time.monotonic() + 30
    try:
        channel.send(greeting("job", ("/data",), os.urandom(16)))
        answer(channel.receive(), Welcome)
        channel.connection.begin()
        numbers = {frame.sequence for frame in frames if frame.cut is None}
        complete = next(number for number in range(1, len(frames) + 3) if number not in numbers) - 1
        try:
            for frame in frames:
                sock.setblocking(True)
                sock.sendall(frame.data)
                sock.setblocking(False)
        except (OSError, ssl.SSLError):
            pass  # it has had enough; why, we read below
        while complete:
            assert time.monotonic() < deadline, "the target neither goes on nor ends the stream"
            if (received := channel.connection.read()) is None:
                time.sleep(0.002)
                continue
            message = messages.decode(received)
            if isinstance(message, Failure):
                assert "internal error" not in message.message
                return message.code
            if isinstance(message, Acknowledgement) and message.applied >= complete:
                return "applied"
        return "nothing complete"
    except ConnectionFailed:
        return "closed"
    except DtesxError as error:
        return error.code
    finally:
        channel.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_spoilt_frames(guarded: Site, recorded: list[Sent], data: st.DataObject) -> None:
    frames = data.draw(spoilt(recorded))
    event(replay(guarded, frames))
    assert guarded.target.is_dir()
    still_serves(guarded)


def test_frames_that_are_not_spoilt(guarded: Site, recorded: list[Sent]) -> None:
    assert replay(guarded, recorded) == "applied"
