"""``dtesx login``: pin an appliance's certificate and keep its token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from dtesx.base.errors import UntrustedCertificate, UsageError
from dtesx.cli import ask, contexts, output, session, teach
from dtesx.cli.params import Json, Thumbprint, TokenFile

_PORT = 6325

Url = Annotated[str, typer.Argument(help="https://ADDRESS[:PORT] of the appliance (port 6325).")]


def login(
    url: Url, token_file: TokenFile = None, trust_thumbprint: Thumbprint = "", json: Json = False
) -> None:
    """Log in to an appliance: pin its certificate, keep its token.

    The token is in /var/lib/dtesx/appliance/admin-token on the appliance. Without --token-file it
    is asked for. The certificate is pinned: from now on dtesx talks to this appliance only if it
    shows the same one. Everything is kept in ~/.config/dtesx/contexts (DTESX_CONFIG names another
    directory), readable by you alone. The last login is the appliance that commands talk to.
    """
    address, port = endpoint(url)
    url = f"https://{f'[{address}]' if ':' in address else address}:{port}"
    certificate = _trusted_certificate(url, address, port, trust_thumbprint)
    token = ask.secret("token", file=token_file)
    context = contexts.Context(url=url, certificate=certificate, token=token)
    status = session.connect(context).status()
    path = contexts.remember(context)
    if json:
        output.document(status)
        return
    output.line(f"logged in to {status.hostname} at {url} (dtesx {status.version})")
    output.line(f"kept in {path}")


def endpoint(url: str) -> tuple[str, int]:
    """Address and port out of what people write: a URL, ``host:port`` or a bare host."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        address, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}", hint="write https://ADDRESS:6325") from error
    if parts.scheme != "https" or not address or parts.path not in ("", "/"):
        raise UsageError(f"{url!r} is not the URL of an appliance", hint="write https://ADDRESS:6325")
    return address, port


def _trusted_certificate(url: str, address: str, port: int, expected: str) -> str:
    from dtesx.wire.identity import fingerprint
    from dtesx.wire.tls import presented_certificate

    certificate = presented_certificate(address, port)
    presented = fingerprint(certificate)
    if expected and not ask.same_thumbprint(expected, presented):
        raise UntrustedCertificate(
            f"{url} presents another certificate than expected: {presented}",
            thumbprint=presented,
            hint="somebody may sit between you and the appliance;"
            " compare with the thumbprint that the appliance shows on its own console",
        )
    known = contexts.load().known.get(url)
    if not expected and (known is None or known.certificate != certificate):
        ask.trust(url, presented)
    return certificate


app = teach.command(
    "login",
    login,
    "dtesx login https://10.1.0.2:6325 --token-file admin-token",
    "dtesx login 10.1.0.2 --token-file admin-token --trust-thumbprint AA:BB:...",
)
