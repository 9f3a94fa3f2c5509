from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError
from dtesx.wire import identity, pairing, tls


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """Shake hands over a socket pair, send one byte each way so that client errors surface."""
    left, right = socket.socketpair()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as secured:
                secured.sendall(secured.recv(1))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right) as secured:
            secured.sendall(b"x")
            return secured.recv(1)
    finally:
        thread.join()


def test_an_identity_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = identity.load_or_create(tmp_path / "state", "alpha")
    assert identity.load_or_create(tmp_path / "state", "alpha") == first
    assert (tmp_path / "state" / "identity.key").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(first)


def test_a_pinned_pair_talks() -> None:
    a, b = identity.create("a"), identity.create("b")
    server = tls.server_context(a, [b.certificate])
    assert _handshake(server, tls.client_context(a.certificate, b)) == b"x"


def test_a_stranger_is_refused_on_either_side() -> None:
    a, b, stranger = identity.create("a"), identity.create("b"), identity.create("a")
    with pytest.raises(ssl.SSLError):
        _handshake(tls.server_context(stranger), tls.client_context(a.certificate))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(tls.server_context(a, [b.certificate]), tls.client_context(a.certificate, stranger))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(tls.server_context(a, [b.certificate]), tls.client_context(a.certificate))


def test_a_broken_certificate_is_a_clear_error() -> None:
    with pytest.raises(DtesxError, match="could not be read"):
        identity.fingerprint("nonsense")


def test_proofs_bind_token_role_and_both_certificates() -> None:
    token, nonce = pairing.new_token(), pairing.new_nonce()
    proof = pairing.client_proof(token, nonce, "C", "S")
    assert pairing.matches(proof, pairing.client_proof(f" {token.upper()}\n", nonce, "C", "S"))
    others = [
        pairing.client_proof(pairing.new_token(), nonce, "C", "S"),
        pairing.client_proof(token, pairing.new_nonce(), "C", "S"),
        pairing.client_proof(token, nonce, "X", "S"),
        pairing.client_proof(token, nonce, "C", "X"),
        pairing.server_proof(token, nonce, "C", "S"),
        pairing.bearer(token, nonce, "C", "S"),
    ]
    assert not any(pairing.matches(proof, other) for other in others)
