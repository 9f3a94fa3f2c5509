"""Which server certificate we accept: the pinned one, whoever signed it, and no other.

pyVmomi's own ``thumbprint=`` argument is checked only on the first connection whose certificate fails
verification, and never when a CA vouches for it. Here the pin sits in the TLS context, so that every
connection made with it is checked after its handshake and before a byte is sent.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl

from dtesx.base.errors import ConnectionFailed, UntrustedCertificate, UsageError

_SHA256_DIGITS = 64
_SHA1_DIGITS = 40


def thumbprint(certificate: bytes) -> str:
    """SHA-256 of a DER certificate as vSphere clients show it: ``AA:BB:...``."""
    return _pairs(hashlib.sha256(certificate).hexdigest())


def normalized(text: str) -> str:
    """A thumbprint typed by a person in the one form we compare; "" stays "".

    Raises UsageError for anything that is not a SHA-256 thumbprint.
    """
    digits = re.sub(r"[\s:-]", "", text)
    if not digits:
        return ""
    if not re.fullmatch(r"[0-9a-fA-F]+", digits) or len(digits) != _SHA256_DIGITS:
        kind = "a SHA-1 thumbprint" if len(digits) == _SHA1_DIGITS else "not a SHA-256 thumbprint"
        raise UsageError(
            f"{text!r} is {kind}",
            hint="give the SHA-256 thumbprint of the server's certificate: 64 hexadecimal digits",
        )
    return _pairs(digits)


def presented_thumbprint(address: str, port: int, timeout: float = 10) -> str:
    """The thumbprint of the certificate a server presents, unverified.

    ``timeout`` is in seconds, for the connection and the handshake each. Raises ConnectionFailed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=address) as secured,
        ):
            return thumbprint(secured.getpeercert(binary_form=True) or b"")
    except ssl.SSLError as error:
        raise ConnectionFailed(
            f"{address}:{port} answers, but not with TLS: {error.reason or error}",
            hint="check the port: the vSphere API is served by HTTPS, usually on 443",
        ) from error
    except OSError as error:
        raise ConnectionFailed(
            f"vCenter {address}:{port} is not reachable: {error.strerror or error}",
            hint="check the address and port, that vCenter runs, and that no firewall is in between",
        ) from error


def pinned_context(pin: str, peer: str, timeout: float) -> ssl.SSLContext:
    """A client context whose every connection ends in UntrustedCertificate unless it meets ``pin``.

    ``peer`` names the server in that error. Sockets without a time limit get ``timeout`` (seconds).
    """
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.pin, context.peer, context.timeout = normalized(pin), peer, timeout
    return context


def untrusted(peer: str, presented: str, pin: str) -> UntrustedCertificate:
    """The error for a certificate that is not the pinned one, or when none is pinned yet."""
    if not pin:
        return UntrustedCertificate(
            f"the certificate of {peer} is not trusted yet; its SHA-256 thumbprint is {presented}",
            thumbprint=presented,
            hint="compare it with the one shown on the server, then repeat with this thumbprint",
        )
    return UntrustedCertificate(
        f"the certificate of {peer} is not the pinned one: expected {pin}, got {presented}",
        thumbprint=presented,
        hint="if the certificate was renewed, check the new thumbprint on the server and add the "
        "server again with it; if not, somebody may be listening in",
    )


class _PinnedContext(ssl.SSLContext):
    """Carries the pin; made by ``pinned_context`` only."""

    pin: str
    peer: str
    timeout: float

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Shake hands, then compare the peer's certificate with the pin."""
        if sock.gettimeout() is None:
            sock.settimeout(self.timeout)
        secured = super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )
        presented = thumbprint(secured.getpeercert(binary_form=True) or b"")
        if presented != self.pin:
            secured.close()
            raise untrusted(self.peer, presented, self.pin)
        return secured


def _pairs(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).upper()
