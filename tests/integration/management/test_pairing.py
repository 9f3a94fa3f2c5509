from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dtesx.base.errors import (
    ConnectionFailed,
    NotFound,
    Refused,
    UntrustedCertificate,
    UsageError,
)
from dtesx.management.source_client import SourceClient, pair
from dtesx.model.api import NewServer
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.wire.identity import create, fingerprint
from tests.integration.management.site import (
    INVENTORY,
    SourceSite,
    pretender,
    someone_in_the_middle,
    source_site,
)

pytestmark = pytest.mark.integration

APPLIANCE = create("appliance")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceSite]:
    with source_site(tmp_path / "source") as made:
        yield made


def request(source: SourceSite, token: str = "") -> NewServer:
    return NewServer("alpha", "127.0.0.1", token or source.token, source.port)


def test_a_paired_source_answers(source: SourceSite) -> None:
    paired = pair(request(source), APPLIANCE.certificate)
    assert paired.info.hostname == "alpha"
    assert paired.info.fingerprint == fingerprint(paired.certificate)
    with closing(SourceClient(paired)) as client:
        assert client.inventory() == INVENTORY
        assert client.service().paired
        assert abs(client.service().time - time.time()) < 60
        assert client.reaches("127.0.0.1", source.port) == ""
        assert "refused" in client.reaches("127.0.0.1", 1)
        assert client.local_address() == "127.0.0.1"
        assert client.certificate == paired.certificate
        client.shut_down()
    assert source.powered_off == 1


def test_a_mirror_is_started_and_followed(source: SourceSite) -> None:
    order = MirrorRequest("job-1", "127.0.0.1", 1500, "PEM", ("/", "/srv"))
    with closing(SourceClient(pair(request(source), APPLIANCE.certificate))) as client:
        with pytest.raises(NotFound):
            client.mirror_status("job-1")
        client.start_mirror(order)
        deadline = time.monotonic() + 5
        while client.mirror_status("job-1").phase is not MirrorPhase.DONE:
            assert time.monotonic() < deadline
        assert client.mirror_status("job-1").stats.files_sent == 2
        client.stop_mirror("job-1")
    assert source.requests == [order]


def test_a_wrong_token(source: SourceSite) -> None:
    with pytest.raises(Refused, match="wrong or was used") as caught:
        pair(request(source, "aaaa-bbbb"), APPLIANCE.certificate)
    assert "token" in caught.value.hint


def test_a_used_token(source: SourceSite) -> None:
    first = request(source)
    pair(first, APPLIANCE.certificate)
    with pytest.raises(Refused, match="wrong or was used"):
        pair(first, APPLIANCE.certificate)


def test_someone_in_the_middle_is_refused(source: SourceSite) -> None:
    token = source.token
    with someone_in_the_middle(source.port) as port:
        plain = httpx.get(f"https://127.0.0.1:{port}/v1/status", verify=False)
        assert plain.status_code == 401  # it does reach the source
        with pytest.raises(Refused, match="wrong or was used"):
            pair(replace(request(source), port=port), APPLIANCE.certificate)
    assert source.token == token  # not spent
    pair(request(source), APPLIANCE.certificate)


def test_someone_in_the_middle_later(source: SourceSite) -> None:
    paired = pair(request(source), APPLIANCE.certificate)
    with someone_in_the_middle(source.port) as port:
        moved = replace(paired, info=replace(paired.info, port=port))
        with closing(SourceClient(moved)) as client, pytest.raises(UntrustedCertificate) as caught:
            client.inventory()
    assert caught.value.thumbprint != paired.info.fingerprint
    assert "add it again" in caught.value.hint


def test_a_server_that_accepts_everything_is_not_believed(source: SourceSite) -> None:
    with pretender() as port, pytest.raises(Refused, match="could not prove") as caught:
        pair(replace(request(source), port=port), APPLIANCE.certificate)
    assert "in between" in caught.value.hint


def test_calls_without_the_right_bearer(source: SourceSite) -> None:
    paired = replace(pair(request(source), APPLIANCE.certificate), bearer="guessed")
    with closing(SourceClient(paired)) as client, pytest.raises(Refused, match="token") as caught:
        client.inventory()
    assert "add it again" in caught.value.hint


def test_pairing_survives_a_restart_of_the_source(tmp_path: Path) -> None:
    with source_site(tmp_path / "source") as before:
        paired = pair(request(before), APPLIANCE.certificate)
        port = before.port
    with closing(SourceClient(paired)) as client:
        with pytest.raises(ConnectionFailed) as caught:
            client.inventory()
        assert "firewall" in caught.value.hint
        with pytest.raises(ConnectionFailed):
            client.local_address()
        with source_site(tmp_path / "source", port):
            assert client.inventory() == INVENTORY


def test_a_source_that_was_set_up_anew(tmp_path: Path) -> None:
    with source_site(tmp_path / "source") as before:
        paired = pair(request(before), APPLIANCE.certificate)
        port = before.port
    with (
        source_site(tmp_path / "another", port),
        closing(SourceClient(paired)) as client,
        pytest.raises(UntrustedCertificate) as caught,
    ):
        client.service()
    assert caught.value.hint


def test_nothing_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionFailed) as caught:
        pair(NewServer("alpha", "127.0.0.1", "token", port), APPLIANCE.certificate)
    assert caught.value.hint


def test_something_without_tls_listens(source: SourceSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        with pytest.raises(ConnectionFailed) as caught:
            pair(replace(request(source), port=other.getsockname()[1]), APPLIANCE.certificate)
    assert caught.value.hint


def test_a_bad_body_names_its_field(source: SourceSite) -> None:
    paired = pair(request(source), APPLIANCE.certificate)
    with closing(SourceClient(paired)) as client, pytest.raises(UsageError, match="address"):
        client._http.send("POST", "/v1/mirrors", {"job": "a", "mount_points": ["/"]})
