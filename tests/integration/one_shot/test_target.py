"""`dtesx target`: its start, its end, and whom it lets in."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import Refused, UsageError
from dtesx.replication.introduction import introduce
from dtesx.wire.channel import Channel
from dtesx.wire.identity import create
from dtesx.wire.messages import Hello, Welcome
from dtesx.wire.protocol import PROTOCOL, answer
from dtesx.wire.tls import client_context, stranger_context

from .conftest import DTESX

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_keeps_what_it_knows(site: Site, number: signal.Signals) -> None:
    assert site.token.stat().st_mode & 0o777 == 0o600
    token = site.token.read_text()
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    assert site.end(number) == 0
    site.start()
    assert site.token.read_text() == token
    done = site.dtesx("mirror", site.source, site.url())
    assert done.returncode == 0, done.stderr
    assert site.end() == 0


def refused(site: Site, data: Path, state: Path) -> subprocess.CompletedProcess[str]:
    argv = [*DTESX, "target", "--listen", "127.0.0.1:0", "--data", str(data), "--state", str(state)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_two_targets_share_neither_data_nor_state(site: Site) -> None:
    other = refused(site, site.data, site.root / "other-state")
    assert (other.returncode, other.stdout) == (6, "")
    assert "another dtesx target holds" in other.stderr
    assert refused(site, site.root / "other-data", site.state).returncode == 6


def test_the_state_is_not_kept_where_sources_write(idle: Site) -> None:
    for state in (idle.data, idle.data / "state"):
        done = refused(idle, idle.data, state)
        assert done.returncode == 2
        assert "hint:" in done.stderr
        assert not state.exists()


def test_a_port_in_use(site: Site) -> None:
    argv = [*DTESX, "target", "--listen", f"127.0.0.1:{site.port}"]
    argv += ["--data", str(site.root / "d2"), "--state", str(site.root / "s2")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 6
    assert "hint:" in done.stderr


def test_a_wrong_token_makes_nobody_known(site: Site) -> None:
    (site.root / "wrong").write_text("abcd-efgh\n")
    done = site.dtesx("mirror", site.source, site.url(), "--token-file", site.root / "wrong")
    assert done.returncode == 4
    assert "token" in done.stderr
    assert not list((site.state / "sources").iterdir())
    assert not (site.data / "www").exists()


def test_without_a_token_nobody_is_let_in(site: Site) -> None:
    done = site.dtesx("mirror", site.source, site.url())
    assert done.returncode == 4
    assert "--token-file" in done.stderr


def test_another_target_at_the_same_address_is_not_talked_to(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    assert site.end() == 0
    other = site.root / "other-state"
    site.start(state=other)
    done = site.dtesx("mirror", site.source, site.url())
    assert done.returncode == 4
    assert "another certificate" in done.stderr
    assert "--token-file" in done.stderr
    assert site.dtesx("mirror", site.source, site.url(), "--token-file", other / "token").returncode == 0


def test_a_source_that_the_target_forgot(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    assert site.paired("mirror", site.source, site.url("other"), client="other").returncode == 0
    assert site.end() == 0
    for path in (site.state / "sources").iterdir():
        path.unlink()
    site.start()
    done = site.dtesx("mirror", site.source, site.url())
    assert done.returncode == 4
    assert "--token-file" in done.stderr
    assert site.paired("mirror", site.source, site.url("other"), client="other").returncode == 0
    done = site.dtesx("mirror", site.source, site.url())  # now there is a certificate to check ours against
    assert done.returncode == 4
    assert "--token-file" in done.stderr


def test_no_certificate_no_place(site: Site) -> None:
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    channel = Channel(stranger_context().wrap_socket(plain))
    try:
        channel.send(Hello(PROTOCOL, "www", ("/srv",)))
        with pytest.raises(Refused, match="does not know"):
            answer(channel.receive(), Welcome)
    finally:
        channel.close()
    assert not (site.data / "www").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\0b", "x" * 300])
def test_names_are_checked_on_the_target_too(site: Site, name: str) -> None:
    identity = create("source")
    known = introduce("127.0.0.1", site.port, identity, site.token.read_text(), tls=True)
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    channel = Channel(client_context(known.certificate, identity).wrap_socket(plain))
    try:
        channel.send(Hello(PROTOCOL, name, ("/srv",)))
        with pytest.raises(UsageError):
            answer(channel.receive(), Welcome)
    finally:
        channel.close()
    assert not list(site.data.iterdir())


def test_garbage_does_not_end_the_target(site: Site) -> None:
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 500, b""):
        with socket.create_connection(("127.0.0.1", site.port), timeout=10) as plain:
            plain.sendall(garbage)
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    with stranger_context().wrap_socket(plain) as secured:
        secured.sendall(b"nonsense" * 100)
        assert secured.recv(4) in (b"DTSX", b"")
    assert site.paired("mirror", site.source, site.url()).returncode == 0
