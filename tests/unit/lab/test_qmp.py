"""QEMU's machine protocol against a peer that says what QEMU would."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.lab.qmp import Monitor, monitor

Say = Callable[[dict[str, object]], None]


@contextmanager
def conversation(peer: Callable[[Iterator[dict[str, object]], Say], None]) -> Iterator[Monitor]:
    """A greeted conversation; ``peer`` gets the requests after that, and a way to say something."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, theirs.makefile("rwb") as stream:

            def say(message: dict[str, object]) -> None:
                stream.write(json.dumps(message).encode() + b"\r\n")
                stream.flush()

            say({"QMP": {"version": {}, "capabilities": []}})
            requests = (json.loads(line) for line in stream)
            assert next(requests)["execute"] == "qmp_capabilities"
            say({"return": {}})
            peer(requests, say)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with closing(Monitor(ours)) as talk:
            talk.greet()
            yield talk
    finally:
        thread.join()


def test_an_event_before_an_answer_is_remembered() -> None:
    def peer(requests: Iterator[dict[str, object]], say: Say) -> None:
        assert next(requests) == {"execute": "device_del", "arguments": {"id": "disk0-1"}}
        say({"event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/disk0-1/bus"}})
        say({"event": "DEVICE_DELETED", "data": {"device": "disk0-1"}})
        say({"return": {}})

    with conversation(peer) as talk:
        assert talk.execute("device_del", id="disk0-1") == {}
        talk.await_event("DEVICE_DELETED", lambda data: data.get("device") == "disk0-1", timeout=5)


def test_a_refusal_is_told_in_qemus_words() -> None:
    def peer(requests: Iterator[dict[str, object]], say: Say) -> None:
        next(requests)
        say({"error": {"class": "GenericError", "desc": 'Failed to get "write" lock'}})
        next(requests)
        say({"return": [1]})

    with conversation(peer) as talk:
        with pytest.raises(CommandFailed, match=r'refused blockdev-add: Failed to get "write" lock'):
            talk.execute("blockdev-add", driver="raw")
        assert talk.execute("query-block") == [1], "the conversation goes on"


def test_an_event_that_does_not_come_is_not_waited_for_long() -> None:
    def peer(requests: Iterator[dict[str, object]], _say: Say) -> None:
        assert next(requests, None) is None, "the conversation ends"

    with conversation(peer) as talk, pytest.raises(ConnectionFailed):
        talk.await_event("DEVICE_DELETED", lambda _: True, timeout=0.05)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="cannot be reached"), monitor(tmp_path / "none"):
        pass
