"""Who may call a source service: pairing by the one-time token, and the bearers it gave out."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import msgspec

from dtesx.base.errors import DtesxError, Refused
from dtesx.base.files import write_atomic
from dtesx.base.log import get_logger
from dtesx.model.api import PairReply, PairRequest
from dtesx.wire import pairing
from dtesx.wire.identity import Identity, fingerprint

log = get_logger(__name__)


class Pairings:
    """The pairings of one source, below its ``state`` directory.

    ``token`` holds the current one-time token: each pairing spends it and a new one takes its
    place, readable by root only. ``pairings.json`` maps the fingerprint of each paired appliance
    to the SHA-256 of its bearer, so the file gives nobody access.
    """

    def __init__(self, state: Path, identity: Identity, hostname: str) -> None:
        self._identity, self._hostname = identity, hostname
        self._token, self._file = state / "token", state / "pairings.json"
        self._lock = threading.Lock()
        self._hashes = self._load()
        if not self._token.exists():
            self._renew_token()

    @property
    def paired(self) -> bool:
        """Whether any appliance is paired."""
        return bool(self._hashes)

    def pair(self, request: PairRequest) -> PairReply:
        """Answer first contact; Refused unless the caller proves that it knows the token."""
        own = self._identity.fingerprint
        caller = fingerprint(request.certificate)
        with self._lock:
            token = self._token.read_text().strip()
            expected = pairing.client_proof(token, request.nonce, caller, own)
            if not pairing.matches(request.proof, expected):
                log.warning("pairing refused", caller=caller)
                raise Refused(
                    "the one-time token is wrong or was used before",
                    hint=f"read the current one on the source: cat {self._token}",
                )
            secret = pairing.bearer(token, request.nonce, caller, own)
            # Spent before it is of use: a crash here costs a token, never lets one work twice.
            self._renew_token()
            self._hashes = self._hashes | {caller: _hash(secret)}
            write_atomic(self._file, msgspec.json.encode(self._hashes))
        log.info("paired", appliance=caller)
        proof = pairing.server_proof(token, request.nonce, caller, own)
        return PairReply(self._identity.certificate, proof, secret, self._hostname)

    def authorised(self, bearer: str) -> bool:
        """Whether this is the bearer of a paired appliance, in time that tells nothing of it."""
        presented = _hash(bearer)
        return any(pairing.matches(presented, known) for known in self._hashes.values())

    def _renew_token(self) -> None:
        write_atomic(self._token, f"{pairing.new_token()}\n".encode())

    def _load(self) -> dict[str, str]:
        if not self._file.exists():
            return {}
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except msgspec.DecodeError as error:
            raise DtesxError(
                f"{self._file} is damaged: {error}", hint="remove it and pair with the appliance again"
            ) from error


def _hash(bearer: str) -> str:
    return hashlib.sha256(bearer.encode()).hexdigest()
