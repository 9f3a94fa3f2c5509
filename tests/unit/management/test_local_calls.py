from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from dtesx.base.errors import ConnectionFailed, DtesxError, TargetFull
from dtesx.management.local_calls import NotRunning, answering, call


def double(body: bytes) -> int:
    return 2 * msgspec.json.decode(body, type=int)


def full(_body: bytes) -> None:
    raise TargetFull("no space", hint="make room")


def test_a_call_is_answered(tmp_path: Path) -> None:
    with answering(tmp_path, {"double": double}):
        assert [call(tmp_path, "double", n, int, timeout=5) for n in range(3)] == [0, 2, 4]
        assert (tmp_path / "control").stat().st_mode & 0o777 == 0o600


def test_an_error_travels(tmp_path: Path) -> None:
    with answering(tmp_path, {"full": full}), pytest.raises(TargetFull, match="no space") as caught:
        call(tmp_path, "full", None, int, timeout=5)
    assert caught.value.hint == "make room"


def test_whatever_is_no_call_is_an_error_and_the_next_call_is_answered(tmp_path: Path) -> None:
    with answering(tmp_path, {"double": double}):
        with pytest.raises(DtesxError, match="failed") as caught:
            call(tmp_path, "unheard-of", 1, int, timeout=5)
        assert "same version" in caught.value.hint
        with pytest.raises(DtesxError, match="failed"):
            call(tmp_path, "double", "text", int, timeout=5)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "control"))
            sock.sendall(b"\xff no call")
        assert call(tmp_path, "double", 4, int, timeout=5) == 8


def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        call(tmp_path, "double", 1, int, timeout=5)
    with answering(tmp_path, {}):
        pass
    with pytest.raises(NotRunning):
        call(tmp_path, "double", 1, int, timeout=5)
    with pytest.raises(NotRunning):
        call(tmp_path / "missing", "double", 1, int, timeout=5)


def test_the_socket_of_a_killed_process_is_nobody_and_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "control"))
    with pytest.raises(NotRunning):
        call(tmp_path, "double", 1, int, timeout=5)
    with answering(tmp_path, {"double": double}):
        assert call(tmp_path, "double", 1, int, timeout=5) == 2


def test_a_process_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "control"))
        sock.listen()
        with pytest.raises(ConnectionFailed, match="does not answer"):
            call(tmp_path, "double", 1, int, timeout=0.05)


def test_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    with answering(deep, {"double": double}):
        assert call(deep, "double", 21, int, timeout=5) == 42
