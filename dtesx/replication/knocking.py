"""How a source proves who it is where TLS does not: a challenge over nonces of both sides."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.base.errors import DtesxError, Refused
from dtesx.wire import pairing
from dtesx.wire.channel import Channel
from dtesx.wire.errors import ProtocolError
from dtesx.wire.identity import fingerprint
from dtesx.wire.messages import Challenge, Knock
from dtesx.wire.protocol import PROTOCOL, answer


@dataclass(frozen=True)
class Knocked:
    """What a source and a target said to each other before any proof."""

    knock: Knock
    challenge: Challenge

    @property
    def nonce(self) -> str:
        """The nonces of both sides; ProtocolError when one is none."""
        nonces = (self.knock.nonce, self.challenge.nonce)
        if any(len(nonce) != pairing.NONCE_LENGTH for nonce in nonces):
            raise ProtocolError("the peer sent an impossible nonce")
        return "".join(nonces)


def knock(channel: Channel, source: str) -> Knocked:
    """Ask a target for its challenge; ``source`` is the caller's fingerprint. Raises as ``answer`` does."""
    ours = Knock(PROTOCOL, source, pairing.new_nonce())
    channel.send(ours)
    return Knocked(ours, answer(channel.receive(), Challenge))


def proof(channel: Channel, shared: pairing.Shared, where: str) -> str:
    """The proof that belongs into Hello, once the target at ``where`` has proved itself.

    Raises Refused when it is not the target that ``shared`` is of, or does not know the source.
    """
    knocked = knock(channel, shared.client_fp)
    challenge = knocked.challenge
    if sent_fingerprint(challenge.certificate) != shared.server_fp:
        raise other_target(where)
    if not pairing.matches(challenge.proof, shared.server_proof(knocked.nonce)):
        raise Refused(
            f"the target at {where} does not know this source",
            hint="give the target's token once: --token-file FILE",
        )
    return shared.client_proof(knocked.nonce)


def sent_fingerprint(certificate: str) -> str:
    """The fingerprint of a certificate that a peer sent; ProtocolError when it is none."""
    try:
        return fingerprint(certificate)
    except DtesxError as error:
        raise ProtocolError(error.message) from error


def other_target(where: str) -> Refused:
    """The error of an address where another target is than the source knows."""
    return Refused(
        f"{where} shows another certificate than the target that this source knows",
        hint="if that is right, pair again: `dtesx server add` for a job, else --token-file FILE",
    )
