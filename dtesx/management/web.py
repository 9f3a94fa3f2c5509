"""The HTTP side of both services: who may call, what a body may be, how errors look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from dtesx.base.errors import DtesxError, Refused, UntrustedCertificate, UsageError
from dtesx.base.log import get_logger
from dtesx.management.bodies import encoded, json_body

log = get_logger(__name__)

T = TypeVar("T")

BODY_LIMIT = 1 << 20
"""Longest request body in bytes; the longest real one is a job with many excludes."""

_STATUS = {
    "usage": 400,
    "refused": 403,
    "untrusted-certificate": 403,
    "not-found": 404,
    "conflict": 409,
    "connection": 502,
    "vsphere": 502,
    "interrupted": 503,
    "target-full": 507,
}


@dataclass(frozen=True)
class Call:
    """One request as handlers see it: path parameters, query, and the body's bytes."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def decoded(self, kind: type[T]) -> T:
        """The body as a model value (none means all defaults); UsageError names a wrong field."""
        return json_body(self.body or b"{}", kind)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A query parameter that has a few values, the first being the default; UsageError."""
        value = self.query.get(name, choices[0])
        if value not in choices:
            raise UsageError(
                f"{name}: {value!r} is not possible here", hint=f"use one of: {', '.join(choices)}"
            )
        return value

    def number(self, name: str) -> float:
        """A query parameter that is a number, 0 when it is missing; UsageError."""
        try:
            return float(self.query.get(name, 0))
        except ValueError as error:
            raise UsageError(f"{name}: {self.query[name]!r} is no number", hint="write 1.5") from error


Handler = Callable[[Call], object]


@dataclass(frozen=True)
class Rule:
    """One call of an API. The handler runs in a thread; None as result means 204.

    ``public`` calls need no bearer (pairing, which brings the bearer).
    """

    method: str
    path: str
    handler: Handler
    public: bool = False


def application(rules: Sequence[Rule], *, authorised: Callable[[str], bool]) -> Starlette:
    """The ASGI application of an API; ``authorised`` judges the bearer, in constant time."""
    routes = [Route(rule.path, _endpoint(rule, authorised), methods=[rule.method]) for rule in _merged(rules)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _defect})


def error_response(error: DtesxError, status: int = 0) -> Response:
    """An error as the API sends it."""
    body = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, UntrustedCertificate):
        body["thumbprint"] = error.thumbprint
    return _json({"error": body}, status or _STATUS.get(error.code, 500))


def _merged(rules: Sequence[Rule]) -> Sequence[Rule]:
    """The rules, checked: Starlette would silently prefer the first of two equal ones."""
    seen = set()
    for rule in rules:
        key = (rule.method, rule.path)
        if key in seen:
            raise ValueError(f"two handlers for {rule.method} {rule.path}")
        seen.add(key)
    return rules


def _endpoint(rule: Rule, authorised: Callable[[str], bool]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if not rule.public and not authorised(_bearer(request)):
            return _unauthorised()
        try:
            body = await _body(request)
            call = Call(request.path_params, request.query_params, body)
            result = await run_in_threadpool(rule.handler, call)
        except _TooLarge as error:
            return error_response(error, 413)
        except DtesxError as error:
            log.info("request failed", path=request.url.path, code=error.code, reason=error.message)
            return error_response(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        return Response(status_code=204) if result is None else _json(result, 200)

    return endpoint


class _TooLarge(UsageError):
    """The body is longer than BODY_LIMIT."""


async def _body(request: Request) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > BODY_LIMIT:
            raise _TooLarge(
                f"the request is longer than {BODY_LIMIT >> 20} MiB", hint="shorten the lists in it"
            )
    return bytes(parts)


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _unauthorised() -> Response:
    response = error_response(
        Refused("the token is missing or not valid", hint="log in again with the service's current token"),
        401,
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = "not-found" if status == 404 else "usage"
    body = {
        "code": code,
        "message": f"{request.method} {request.url.path} is not part of this API",
        "hint": "the client and the service may be of different versions",
    }
    return _json({"error": body}, status)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("a defect", exc_info=True, path=request.url.path, error=repr(error))
    text = f"{type(error).__name__} while answering {request.method} {request.url.path}"
    return error_response(
        DtesxError(text, hint="this is a defect in dtesx: please report it with the service's log")
    )


def _json(value: object, status: int) -> Response:
    return Response(encoded(value), status, media_type="application/json")
