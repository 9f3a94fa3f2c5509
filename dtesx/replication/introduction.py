"""First contact of a source with a target: on the data port, by the target's token.

The source calls without a certificate and takes whatever certificate the target shows. Then each
proves that it knows the token, bound to both certificates (wire.pairing), so nobody in between
can pose as the other. From then on both certificates are known, and both sides hold a secret for
links without TLS; nothing else counts.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass, field

from dtesx.base.errors import ConnectionFailed, Refused
from dtesx.replication.dialing import connect, connect_tls
from dtesx.replication.knocking import knock, sent_fingerprint
from dtesx.wire import pairing
from dtesx.wire.channel import Channel
from dtesx.wire.identity import Identity
from dtesx.wire.messages import Pair, Paired
from dtesx.wire.protocol import answer
from dtesx.wire.tls import stranger_context

_SECONDS = 10.0


@dataclass(frozen=True)
class KnownTarget:
    """What a source keeps of a target: its certificate (PEM), and the secret that they share."""

    certificate: str
    secret: str = field(repr=False)


def introduce(address: str, port: int, identity: Identity, token: str, *, tls: bool) -> KnownTarget:
    """Make a source and the target at ``address`` known to each other.

    Raises ConnectionFailed when no target answers, and Refused when either does not know the token.
    """
    deadline = time.monotonic() + _SECONDS

    def tick() -> None:
        if time.monotonic() > deadline:
            raise ConnectionFailed("the target does not answer", hint="check that this is a target's port")

    sock = connect_tls(address, port, stranger_context()) if tls else connect(address, port)
    channel = Channel(sock, tick=tick)
    try:
        return _paired(channel, identity, token, f"{address}:{port}", _shown(sock))
    finally:
        channel.close()


def _shown(sock: socket.socket) -> str | None:
    if not isinstance(sock, ssl.SSLSocket):
        return None
    return ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True) or b"")


def _paired(channel: Channel, identity: Identity, token: str, where: str, shown: str | None) -> KnownTarget:
    knocked = knock(channel, identity.fingerprint)
    certificate = shown or knocked.challenge.certificate
    parties = (identity.fingerprint, sent_fingerprint(certificate))
    proof = pairing.client_proof(token, knocked.nonce, *parties)
    channel.send(Pair(identity.certificate, socket.gethostname(), proof))
    paired = answer(channel.receive(), Paired)
    if not pairing.matches(paired.proof, pairing.server_proof(token, knocked.nonce, *parties)):
        raise Refused(
            f"{where} does not know the token, so it is not the target that the token is from",
            hint="check the address and the token; somebody may sit between this source and the target",
        )
    return KnownTarget(certificate, pairing.shared(token, *parties).secret)
