"""First contact of a source and a target: on the data port, by the target's token.

The source calls over TLS without a certificate and takes whatever certificate the target shows.
Then each proves that it knows the token, bound to both certificates (wire.pairing), so nobody
in between can pose as the other. From then on both show their certificates and nothing else counts.
"""

from __future__ import annotations

import socket
import ssl
import time

from dtesx.base.errors import ConnectionFailed, DtesxError, Refused
from dtesx.replication.dialing import connect
from dtesx.wire import pairing
from dtesx.wire.channel import Channel
from dtesx.wire.errors import ProtocolError
from dtesx.wire.identity import Identity, fingerprint
from dtesx.wire.messages import Pair, Paired
from dtesx.wire.protocol import PROTOCOL, answer
from dtesx.wire.tls import stranger_context

_SECONDS = 10.0


def introduce(address: str, port: int, identity: Identity, token: str) -> str:
    """Make a source and the target at ``address`` known to each other; the target's certificate (PEM).

    Raises ConnectionFailed when no target answers, and Refused when either does not know the token.
    """
    sock = connect(address, port, stranger_context())
    certificate = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True) or b"")
    ours, theirs = identity.fingerprint, fingerprint(certificate)
    nonce = pairing.new_nonce()
    request = Pair(
        PROTOCOL,
        identity.certificate,
        socket.gethostname(),
        nonce,
        pairing.client_proof(token, nonce, ours, theirs),
    )
    proof = _ask(sock, request).proof
    if not pairing.matches(proof, pairing.server_proof(token, nonce, ours, theirs)):
        raise Refused(
            f"{address}:{port} does not know the token, so it is not the target that the token is from",
            hint="check the address and the token; somebody may sit between this source and the target",
        )
    return certificate


def answer_introduction(request: Pair, target: str, token: str) -> Paired:
    """The target's answer to a source that proves itself; ``target`` is the target's fingerprint.

    Raises Refused unless the source knows the token.
    """
    try:
        source = fingerprint(request.certificate)
    except DtesxError as error:
        raise ProtocolError(error.message) from error
    expected = pairing.client_proof(token, request.nonce, source, target)
    if not pairing.matches(request.proof, expected):
        raise Refused(
            "the token is not that of this target",
            hint="the target says at its start which file holds its token; copy that one",
        )
    return Paired(pairing.server_proof(token, request.nonce, source, target))


def _ask(sock: ssl.SSLSocket, request: Pair) -> Paired:
    deadline = time.monotonic() + _SECONDS

    def tick() -> None:
        if time.monotonic() > deadline:
            raise ConnectionFailed("the target does not answer", hint="check that this is a target's port")

    channel = Channel(sock, tick=tick)
    try:
        channel.send(request)
        return answer(channel.receive(), Paired)
    finally:
        channel.close()
