"""HTTPS calls to a service whose certificate is pinned; errors come back as they were raised."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import TypeVar

import httpx
import msgspec

from dtesx.base.described import described
from dtesx.base.errors import ConnectionFailed, DtesxError, Refused, UntrustedCertificate, from_code
from dtesx.wire.identity import fingerprint
from dtesx.wire.tls import client_context, presented_certificate

T = TypeVar("T")

# Enough for two repeated SYNs (after 1 and 3 s); a failover waits this long for a dead source.
_CONNECT_SECONDS = 5.0
# Shorter than the services' own limit, so that no request meets a connection being closed.
_IDLE_SECONDS = 3.0


class HttpClient:
    """Calls one service. ``what`` names it in errors; the hints say what to do in its case."""

    def __init__(
        self,
        address: str,
        port: int,
        certificate: str,
        *,
        what: str,
        away_hint: str,
        changed_hint: str,
        refused_hint: str,
        bearer: str = "",
        timeout: float = 120.0,
    ) -> None:
        self._address, self._port, self._what = address, port, what
        self._away_hint, self._changed_hint, self._refused_hint = away_hint, changed_hint, refused_hint
        host = f"[{address}]" if ":" in address else address
        self._http = httpx.Client(
            base_url=f"https://{host}:{port}",
            verify=client_context(certificate),
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
            trust_env=False,  # a pinned peer is never behind a proxy
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(
        self, method: str, path: str, kind: type[T], body: object = None, *, timeout: float | None = None
    ) -> T:
        """Send a request and decode its answer; ``timeout`` (seconds) replaces the client's own.

        Raises ConnectionFailed when the service is away, UntrustedCertificate when it shows another
        certificate than the pinned one, and whatever DtesxError the service answers with.
        """
        answer = self._send(method, path, body, timeout)
        try:
            return msgspec.json.decode(answer, type=described(kind))
        except msgspec.DecodeError as error:
            raise DtesxError(
                f"{self._what} answered something unexpected to {method} {path}: {error}",
                hint="check that both sides run the same version of dtesx",
            ) from error

    def send(self, method: str, path: str, body: object = None) -> None:
        """Send a request whose answer has no body; raises as ``call`` does."""
        self._send(method, path, body, None)

    def _send(self, method: str, path: str, body: object, timeout: float | None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            answer = self._http.request(
                method,
                path,
                content=content,
                headers=headers,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            )
        except httpx.TimeoutException as error:
            raise ConnectionFailed(
                f"{self._what} at {self._address}:{self._port} did not answer in time", hint=self._away_hint
            ) from error
        except httpx.TransportError as error:
            raise self._transport_error(error) from error
        if answer.is_error:
            raise self._answered(answer)
        return answer.content

    def _transport_error(self, error: httpx.TransportError) -> DtesxError:
        if not _certificate_error(error):
            return ConnectionFailed(
                f"{self._what} at {self._address}:{self._port} cannot be reached: {error}",
                hint=self._away_hint,
            )
        return UntrustedCertificate(
            f"{self._what} at {self._address}:{self._port} shows another certificate than before",
            thumbprint=fingerprint(presented_certificate(self._address, self._port)),
            hint=self._changed_hint,
        )

    def _answered(self, answer: httpx.Response) -> DtesxError:
        if answer.status_code == 401:
            return Refused(f"{self._what} does not accept the token", hint=self._refused_hint)
        try:
            body = msgspec.json.decode(answer.content, type=dict[str, dict[str, str]])["error"]
        except (msgspec.DecodeError, KeyError):
            return DtesxError(
                f"{self._what} answered with HTTP status {answer.status_code}",
                hint="check that the address and port are those of a dtesx service",
            )
        return from_code(
            body.get("code", ""),
            body.get("message", ""),
            body.get("hint", ""),
            thumbprint=body.get("thumbprint", ""),
        )


def _certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
