"""The sources that a target knows: by their certificates, and by a secret for links without TLS."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

from dtesx.base.errors import Refused
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.replication.knocking import Knocked, sent_fingerprint
from dtesx.wire import pairing
from dtesx.wire.identity import Identity, fingerprint
from dtesx.wire.messages import Challenge, Knock, Pair, Paired
from dtesx.wire.pairing import Shared
from dtesx.wire.tls import server_context

log = get_logger(__name__)

_CERTIFICATE = ".crt"
_SHARED = ".secret"


@dataclass(frozen=True)
class _Source:
    certificate: str
    secret: str = field(repr=False)


class Sources:
    """Two files for each source below ``directory``; without either, the source is not known.

    ``plain`` lets known sources in without TLS, too. ``context`` is that of the next connection.
    """

    def __init__(self, directory: Path, identity: Identity, token_file: Path, *, plain: bool) -> None:
        self.plain = plain
        self._directory = private_directory(directory)
        self._identity = identity
        self._token_file = token_file
        self._lock = threading.Lock()
        self._known = dict(self._load())
        self.context = self._context()

    def knows(self, certificate: bytes) -> bool:
        """Whether this very certificate (DER) is known; one that a known source signed is not."""
        return bool(certificate) and fingerprint(ssl.DER_cert_to_PEM_cert(certificate)) in self._known

    def visit(self, knock: Knock) -> Visit:
        """Begin to find out who a source is; ProtocolError for an impossible knock."""
        challenge = Challenge(self._identity.certificate, pairing.new_nonce())
        nonce = Knocked(knock, challenge).nonce
        source = self._known.get(knock.source)
        if source is None:
            return Visit(self, nonce, challenge)
        shared = Shared(source.secret, knock.source, self._identity.fingerprint)
        challenge = Challenge(challenge.certificate, challenge.nonce, shared.server_proof(nonce))
        return Visit(self, nonce, challenge, source.certificate, shared)

    def pair(self, request: Pair, nonce: str) -> Paired:
        """Know a source from now on, durably; Refused unless it knows the token."""
        ours, theirs = self._identity.fingerprint, sent_fingerprint(request.certificate)
        token = self._token_file.read_text().strip()
        if not pairing.matches(request.proof, pairing.client_proof(token, nonce, theirs, ours)):
            raise Refused(
                "the token is not that of this target",
                hint="the target says at its start which file holds its token; copy that one",
            )
        self._add(theirs, _Source(request.certificate, pairing.shared(token, theirs, ours).secret))
        log.info("paired", source=request.hostname, certificate=theirs)
        return Paired(pairing.server_proof(token, nonce, theirs, ours))

    def _add(self, name: str, source: _Source) -> None:
        stem = name.replace(":", "").lower()
        with self._lock:
            if self._known.get(name) == source:
                return
            # The certificate last: with it the source is known.
            write_atomic(self._directory / f"{stem}{_SHARED}", source.secret.encode())
            write_atomic(self._directory / f"{stem}{_CERTIFICATE}", source.certificate.encode())
            self._known = self._known | {name: source}
            self.context = self._context()

    def _load(self) -> list[tuple[str, _Source]]:
        found = []
        for path in sorted(self._directory.glob(f"*{_CERTIFICATE}")):
            secret = path.with_suffix(_SHARED)
            if secret.exists():
                source = _Source(path.read_text(), secret.read_text())
                found.append((fingerprint(source.certificate), source))
        return found

    def _context(self) -> ssl.SSLContext:
        certificates = tuple(source.certificate for source in self._known.values())
        return server_context(self._identity, certificates, strangers=True)


@dataclass(frozen=True)
class Visit:
    """A source that knocked, and the challenge for it."""

    sources: Sources
    nonce: str
    challenge: Challenge
    certificate: str = ""
    shared: Shared | None = None

    def pair(self, request: Pair) -> Paired:
        """Make the source known; Refused unless it knows the token."""
        return self.sources.pair(request, self.nonce)

    def recognise(self, proof: str) -> bytes:
        """The certificate (DER) of a source that answers with ``proof``; Refused when it does not hold."""
        if self.shared is None or not pairing.matches(proof, self.shared.client_proof(self.nonce)):
            raise Refused(
                "this target does not know the source", hint="give the target's token once: --token-file FILE"
            )
        return ssl.PEM_cert_to_DER_cert(self.certificate)
