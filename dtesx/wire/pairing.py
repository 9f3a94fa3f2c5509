"""Pairing two services by a token, so that each learns the other's certificate.

The token is never sent. Each side proves that it knows it by an HMAC over both certificate
fingerprints: someone in the middle shows another certificate, so his proofs do not match. The
token carries 160 random bits, so a recorded proof cannot be searched for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

NONCE_LENGTH = 32


def new_token() -> str:
    """A token that is easy to read aloud: 32 base-32 letters in groups of four."""
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    letters = "".join(secrets.choice(alphabet) for _ in range(32))
    return "-".join(letters[i : i + 4] for i in range(0, 32, 4))


def new_nonce() -> str:
    """A value used once, so that proofs cannot be replayed."""
    return secrets.token_hex(NONCE_LENGTH // 2)


def client_proof(token: str, nonce: str, client_fp: str, server_fp: str) -> str:
    """What the caller sends: it knows the token and sees this server certificate."""
    return _mac("client", token, nonce, client_fp, server_fp)


def server_proof(token: str, nonce: str, client_fp: str, server_fp: str) -> str:
    """What the server answers: it knows the token and got this client certificate."""
    return _mac("server", token, nonce, client_fp, server_fp)


def bearer(token: str, nonce: str, client_fp: str, server_fp: str) -> str:
    """The secret both sides derive for later calls; it is bound to both certificates."""
    return _mac("bearer", token, nonce, client_fp, server_fp)


@dataclass(frozen=True)
class Shared:
    """What two paired services prove themselves with where there is no TLS: the bearer secret.

    ``nonce`` must hold fresh ones of both sides, else a recorded proof would do.
    """

    secret: str = field(repr=False)
    client_fp: str
    server_fp: str

    def client_proof(self, nonce: str) -> str:
        """What the caller sends."""
        return _mac("client call", self.secret, nonce, self.client_fp, self.server_fp)

    def server_proof(self, nonce: str) -> str:
        """What the server answers."""
        return _mac("server call", self.secret, nonce, self.client_fp, self.server_fp)


def shared(token: str, client_fp: str, server_fp: str) -> Shared:
    """What a source and a target derive from the target's token.

    The same at every pairing by one token: several commands of a source may pair at the same time.
    """
    return Shared(bearer(token, "", client_fp, server_fp), client_fp, server_fp)


def matches(left: str, right: str) -> bool:
    """Compare two proofs in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def _mac(purpose: str, token: str, nonce: str, client_fp: str, server_fp: str) -> str:
    key = token.strip().lower().encode()
    text = "\n".join(("dtesx pairing 1", purpose, nonce, client_fp, server_fp))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
