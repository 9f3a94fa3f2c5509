"""Servers that are no vCenter, or one that hangs."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed
from dtesx.model.vmware import VmwareServer
from dtesx.vsphere.client import connect
from dtesx.vsphere.trust import presented_thumbprint
from dtesx.wire.identity import load_or_create

pytestmark = pytest.mark.integration


@contextmanager
def https(directory: Path, answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[VmwareServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    load_or_create(directory, "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "identity.crt", directory / "identity.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            port = server.server_address[1]
            yield VmwareServer("vc", "127.0.0.1", "admin", port, presented_thumbprint("127.0.0.1", port))
        finally:
            server.shutdown()
            thread.join()


def test_a_web_server_is_no_vcenter(tmp_path: Path) -> None:
    with (
        https(tmp_path, lambda request: request.send_error(404)) as server,
        pytest.raises(ConnectionFailed, match="does not answer as a vSphere server") as caught,
        connect(server, "secret"),
    ):
        pass
    assert "address and port" in caught.value.hint


def test_a_server_that_hangs_is_left_after_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtesx.vsphere.session.CALL_TIMEOUT", 0.5)
    release = threading.Event()

    def hang(_request: BaseHTTPRequestHandler) -> None:
        release.wait(30)

    with https(tmp_path, hang) as server:
        try:
            with (
                pytest.raises(ConnectionFailed, match="could not log in: vCenter vc"),
                connect(server, "secret"),
            ):
                pass
        finally:
            release.set()
