from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed, UntrustedCertificate, UsageError
from dtesx.vsphere import trust
from dtesx.wire.identity import Identity, load_or_create

PIN = ":".join(["AB"] * 32)


@pytest.mark.parametrize("text", [PIN, PIN.lower(), PIN.replace(":", ""), PIN.replace(":", " ")])
def test_a_thumbprint_is_taken_in_any_form(text: str) -> None:
    assert trust.normalized(text) == PIN


def test_no_thumbprint_stays_none() -> None:
    assert trust.normalized(" ") == ""


@pytest.mark.parametrize(
    ("text", "says"), [("AB:" * 19 + "AB", "SHA-1"), ("hello", "not a SHA-256"), ("AB", "not")]
)
def test_other_thumbprints_are_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        trust.normalized(text)
    assert "64" in caught.value.hint


def test_the_thumbprint_is_sha256_of_the_certificate() -> None:
    digest = hashlib.sha256(b"x").hexdigest().upper()
    assert trust.thumbprint(b"x").replace(":", "") == digest
    assert trust.thumbprint(b"x").count(":") == 31


class TlsServer:
    """Serves handshakes with one identity after another; the last one stays."""

    def __init__(self, directory: Path) -> None:
        self.identities = [load_or_create(directory / name, "test") for name in ("one", "two")]
        self.contexts = [_context(identity, directory) for identity in self.identities]
        self.current = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def thumbprint(self, number: int) -> str:
        return trust.thumbprint(ssl.PEM_cert_to_DER_cert(self.identities[number].certificate))

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.contexts[self.current].wrap_socket(plain, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                plain.close()


def _context(identity: Identity, directory: Path) -> ssl.SSLContext:
    file = directory / "pair.pem"
    file.write_text(identity.certificate + identity.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsServer]:
    with closing(TlsServer(tmp_path)) as server:
        yield server


def test_probing_tells_the_presented_thumbprint(tls: TlsServer) -> None:
    assert trust.presented_thumbprint("127.0.0.1", tls.port) == tls.thumbprint(0)


def test_probing_a_closed_port_says_what_to_check() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="not reachable") as caught:
        trust.presented_thumbprint("127.0.0.1", port)
    assert "firewall" in caught.value.hint


def test_probing_something_without_tls() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def greet() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(10)
                peer.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        with pytest.raises(ConnectionFailed, match="not with TLS"):
            trust.presented_thumbprint("127.0.0.1", listener.getsockname()[1])
        thread.join(5)


def test_every_connection_is_checked_not_only_the_first(tls: TlsServer) -> None:
    context = trust.pinned_context(tls.thumbprint(0), "vCenter vc", 5)
    with socket.create_connection(("127.0.0.1", tls.port)) as plain, context.wrap_socket(plain) as secured:
        assert secured.gettimeout() == 5
    tls.current = 1
    with (
        socket.create_connection(("127.0.0.1", tls.port)) as plain,
        pytest.raises(UntrustedCertificate, match="not the pinned one") as caught,
    ):
        context.wrap_socket(plain)
    assert caught.value.thumbprint == tls.thumbprint(1)


def test_an_empty_pin_asks_for_one() -> None:
    error = trust.untrusted("vCenter vc", PIN, "")
    assert error.thumbprint == PIN
    assert PIN in error.message
    assert "repeat with this thumbprint" in error.hint
