from __future__ import annotations

import errno
import fcntl
import gc
import os
import random
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.wire.connection import Connection
from dtesx.wire.frames import Encoded, FrameType, encode
from dtesx.wire.parts import FilePart, OpenFile
from dtesx.wire.piping import Piped, Pipes


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        yield connected(stack)


def connected(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = stack.enter_context(socket.create_connection(server.getsockname()))
        there = stack.enter_context(server.accept()[0])
    here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    there.setblocking(False)
    return here, there


def filled(pipes: Pipes, wire: tuple[socket.socket, socket.socket], content: bytes, step: int) -> Piped:
    here, there = wire
    piped, done = Piped(pipes, len(content)), 0
    for at in range(0, len(content), step):
        here.sendall(content[at : at + step])
        while done < min(at + step, len(content)):
            try:
                done += piped.fill(there.fileno())
            except BlockingIOError:
                continue
    return piped


@given(st.integers(1, 1 << 20), st.sampled_from([7, 100, 1448, 70_000, 1 << 20]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_content_gets_to_its_place_however_it_arrives(length: int, step: int, poured: bool) -> None:
    content = random.Random(length).randbytes(length if step > 100 else min(length, 20_000))
    with ExitStack() as stack:
        wire, pipes = connected(stack), Pipes()
        for _ in range(3):
            piped = filled(pipes, wire, content, step)
            if not poured:
                assert bytes(piped.memory()) == content
                continue
            with stack.enter_context(tempfile.TemporaryFile()) as file:
                piped.pour(file.fileno(), 1000)
                assert os.pread(file.fileno(), len(content) + 1001, 0) == bytes(1000) + content


def test_what_did_not_fit_into_the_file_is_not_lost(
    wire: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    content = os.urandom(900_000)
    piped = filled(Pipes(), wire, content, 300_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "file").open("w+b") as file:
        for limit in (100_000, 100_001, 500_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                with pytest.raises(OSError, match="too large") as raised:
                    piped.pour(file.fileno(), 50)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert raised.value.errno == errno.EFBIG
        piped.pour(file.fileno(), 50)
        assert os.pread(file.fileno(), 1 << 20, 50) == content


def test_a_file_that_cannot_be_spliced_to_gets_it_from_memory(
    wire: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    content = os.urandom(300_000)
    piped = filled(Pipes(), wire, content, 50_000)
    with (tmp_path / "file").open("ab") as file:
        piped.pour(file.fileno(), 0)
    assert (tmp_path / "file").read_bytes() == content


def test_small_pipes_do_where_large_ones_are_refused(
    wire: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*_arguments: object) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(fcntl, "fcntl", refused)
    content = os.urandom(1 << 20)
    piped = filled(Pipes(), wire, content, 1 << 18)
    with (tmp_path / "file").open("w+b") as file:
        piped.pour(file.fileno(), 0)
    assert (tmp_path / "file").read_bytes() == content


def test_pipes_are_used_again_and_never_with_what_was_left(
    wire: tuple[socket.socket, socket.socket], count_open: Callable[[], int]
) -> None:
    before, pipes = count_open(), Pipes()
    for number in range(20):
        content = os.urandom(10_000)
        piped = filled(pipes, wire, content, 10_000)
        if number % 2:
            assert bytes(piped) == content
        del piped
        assert count_open() <= before + 2
    kept = [filled(pipes, wire, b"some", 4) for _ in range(10)]
    assert count_open() == before + 8
    assert [bytes(piped) for piped in kept] == [b"some"] * 10
    del pipes, kept
    assert count_open() == before


@pytest.fixture
def count_open() -> Callable[[], int]:
    """Counts the ends of pipes; what earlier tests left to the collector is gone before."""
    gc.collect()
    return lambda: sum(_is_pipe(fd) for fd in os.listdir("/proc/self/fd"))


def _is_pipe(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except FileNotFoundError:  # that of the listing itself
        return False


def test_a_file_that_became_shorter_arrives_as_long_as_it_was_said_to_be(
    wire: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    content = os.urandom(700_000)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as opened:
        part = FilePart(OpenFile(opened.fileno(), straight=True), 0, len(content))
    os.truncate(tmp_path / "file", 400_000)
    here, there = Connection(wire[0]), Connection(wire[1])
    there.begin()
    frames: list[Encoded] = [encode(FrameType.OPERATIONS, 1, b"table", [part])[0]]
    frame = None
    while frame is None:
        here.write(lambda: frames.pop() if frames else None)
        frame = there.read()
    assert isinstance(frame.blob, Piped)
    assert bytes(frame.table) == b"table"
    assert bytes(frame.blob) == content[:400_000] + bytes(300_000)
    assert (here.sent, here.busy) == (there.received, False)
