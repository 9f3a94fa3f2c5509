"""The client of the management API."""

from __future__ import annotations

import socket
import threading

import pytest

from dtesx.base.errors import ConnectionFailed
from dtesx.management import client
from dtesx.wire.identity import create
from dtesx.wire.tls import server_context


def test_a_lost_answer_does_not_hold_the_watching_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_POLL_SECONDS", 0.3)
    identity = create("appliance")
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            plain, _ = listener.accept()
            with server_context(identity).wrap_socket(plain, server_side=True) as secured:
                secured.recv(4096)
                over.wait(20)  # and then the connection ends, which is another error

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        appliance = client.Appliance(
            f"https://127.0.0.1:{listener.getsockname()[1]}", identity.certificate, "token"
        )
        with pytest.raises(ConnectionFailed, match="did not answer in time"):
            appliance.operation("op")
        appliance.close()
        over.set()
        thread.join(5)
