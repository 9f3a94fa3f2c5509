"""TLS 1.3 between services that know each other's certificate; no authority is involved."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
from collections.abc import Sequence

from dtesx.base.errors import ConnectionFailed
from dtesx.wire.identity import Identity


def server_context(
    identity: Identity, trusted: Sequence[str] = (), *, strangers: bool = False
) -> ssl.SSLContext:
    """Context of a listener; with ``trusted`` (PEM), a client must present one of exactly these.

    With ``strangers`` it may present none instead, so that it can be made known.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, identity)
    if trusted:
        _pin(context, trusted)
        context.verify_mode = ssl.CERT_OPTIONAL if strangers else ssl.CERT_REQUIRED
    return context


def client_context(server_certificate: str, identity: Identity | None = None) -> ssl.SSLContext:
    """Context of a caller that accepts one server certificate (PEM) and no other.

    Host names are not checked: the pinned certificate says more than a name could.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    _pin(context, (server_certificate,))
    if identity is not None:
        _load(context, identity)
    return context


def stranger_context() -> ssl.SSLContext:
    """Context of a caller at first contact: no certificate, and the server's is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def presented_certificate(address: str, port: int, timeout: float = 10) -> str:
    """The certificate (PEM) that a server shows, unverified: for pinning at first contact.

    Raises ConnectionFailed when nothing answers within ``timeout`` seconds or it is not TLS.
    """
    context = stranger_context()
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            context.wrap_socket(plain) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise ConnectionFailed(
            f"{address}:{port} does not answer: {error}",
            hint="check the address, that the service runs there and that no firewall is between",
        ) from error
    if not shown:
        raise ConnectionFailed(
            f"{address}:{port} shows no certificate", hint="check that this is the right port"
        )
    return ssl.DER_cert_to_PEM_cert(shown)


def _pin(context: ssl.SSLContext, certificates: Sequence[str]) -> None:
    # Each self-signed certificate is its own root; without the strict purpose checks that
    # Python 3.13 turned on, which want extensions that a pinned leaf has no use for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata="\n".join(certificates))


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    # ssl.SSLContext reads keys from files only; a private file that lives for one call will do.
    fd, path = tempfile.mkstemp(prefix="dtesx-", suffix=".pem")
    try:
        with os.fdopen(fd, "w") as file:
            file.write(identity.key + identity.certificate)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
