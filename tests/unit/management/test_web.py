from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from dtesx.base import errors
from dtesx.management.web import BODY_LIMIT, Call, Rule, application
from dtesx.model.api import FailoverRequest, NewServer

TOKEN = {"Authorization": "Bearer secret"}


class Client:
    """Calls an application in this process."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://test") as http:
                return await http.request(method, path, **more)

        return asyncio.run(send())

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


def client(handler: Callable[[Call], object], method: str = "POST", *, public: bool = False) -> Client:
    rules = (Rule(method, "/v1/things/{name}", handler, public),)
    return Client(application(rules, authorised=lambda bearer: bearer == "secret"))


def raises(error: Exception) -> Callable[[Call], object]:
    def handler(_call: Call) -> object:
        raise error

    return handler


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}, {"Authorization": "secret"}],
)
def test_calls_need_the_bearer(headers: dict[str, str]) -> None:
    answer = client(raises(AssertionError("the handler must not run"))).post("/v1/things/a", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "refused"
    assert answer.json()["error"]["hint"]


def test_public_calls_do_not() -> None:
    answer = client(lambda call: {"name": call.path["name"]}, public=True).post("/v1/things/a")
    assert (answer.status_code, answer.json()) == (200, {"name": "a"})


def test_no_result_is_no_content() -> None:
    answer = client(lambda _call: None, "DELETE").request("DELETE", "/v1/things/a", headers=TOKEN)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("m", hint="h"), 400),
        (errors.Refused("m", hint="h"), 403),
        (errors.NotFound("m", hint="h"), 404),
        (errors.Conflict("m", hint="h"), 409),
        (errors.ConnectionFailed("m", hint="h"), 502),
        (errors.VSphereError("m", hint="h"), 502),
        (errors.Interrupted("m", hint="h"), 503),
        (errors.TargetFull("m", hint="h"), 507),
        (errors.CommandFailed("m", hint="h"), 500),
    ],
)
def test_errors_keep_their_words(error: errors.DtesxError, status: int) -> None:
    answer = client(raises(error)).post("/v1/things/a", headers=TOKEN)
    assert answer.status_code == status
    assert answer.json() == {"error": {"code": error.code, "message": "m", "hint": "h"}}


def test_a_thumbprint_travels() -> None:
    error = errors.UntrustedCertificate("m", thumbprint="AA:BB", hint="h")
    answer = client(raises(error)).post("/v1/things/a", headers=TOKEN)
    assert answer.status_code == 403
    assert answer.json()["error"]["thumbprint"] == "AA:BB"


def test_a_defect_is_reported_as_one() -> None:
    answer = client(raises(ZeroDivisionError("oops"))).post("/v1/things/a", headers=TOKEN)
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["error"]["message"]
    assert "report it" in answer.json()["error"]["hint"]


def test_bad_bodies_are_the_callers_fault() -> None:
    site = client(lambda call: call.decoded(NewServer))
    answer = site.post("/v1/things/a", headers=TOKEN, json={"name": "a", "address": 3, "token": "t"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("address:")
    assert site.post("/v1/things/a", headers=TOKEN, content=b"{").status_code == 400


def test_no_body_means_all_defaults() -> None:
    site = client(lambda call: call.decoded(FailoverRequest))
    assert site.post("/v1/things/a", headers=TOKEN).json() == {"final_mirror": True}


def test_a_body_has_a_limit() -> None:
    site = client(lambda call: len(call.body))
    assert site.post("/v1/things/a", headers=TOKEN, content=b"x" * BODY_LIMIT).json() == BODY_LIMIT
    answer = site.post("/v1/things/a", headers=TOKEN, content=b"x" * (BODY_LIMIT + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/things/a", 405)]
)
def test_unknown_calls_answer_in_json_too(method: str, path: str, status: int) -> None:
    answer = client(lambda _call: None).request(method, path, headers=TOKEN)
    assert answer.status_code == status
    assert answer.json()["error"]["hint"]


def test_a_choice_has_a_default_and_limits() -> None:
    site = client(lambda call: call.choice("replica", ("keep", "delete")))
    assert site.post("/v1/things/a", headers=TOKEN).json() == "keep"
    assert site.post("/v1/things/a?replica=delete", headers=TOKEN).json() == "delete"
    answer = site.post("/v1/things/a?replica=burn", headers=TOKEN)
    assert answer.status_code == 400
    assert "keep, delete" in answer.json()["error"]["hint"]
