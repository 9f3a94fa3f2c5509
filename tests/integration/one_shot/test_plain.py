"""Mirrors without TLS: who is let in, and what somebody on the link sees."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dtesx.base.run import run
from dtesx.model.location import parse_target
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.replication.one_shot import open_tree, way
from dtesx.replication.sending import run_mirror

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

PLAIN = "--no-tls"


@pytest.fixture
def site(idle: Site) -> Site:
    """The site, with a target that lets sources in without TLS."""
    idle.start(PLAIN)
    return idle


def secret(site: Site) -> str:
    return next((site.root / "client" / "targets").glob("*.secret")).read_text()


def mirror(
    site: Site,
    link: LinkOptions,
    progress: Callable[[MirrorPhase, MirrorStats], None] = lambda _phase, _stats: None,
) -> None:
    """Mirror with options that the command does not have."""
    target = parse_target(site.url())
    token = site.token.read_text()
    found = way(str(site.source), target, site.root / "client", MirrorOptions(), token=token, tls=False)
    run_mirror(
        found.request,
        found.identity,
        progress=progress,
        control=MirrorControl(),
        opener=open_tree,
        options=found.options,
        link=link,
    )


class Wire:
    """A relay before the target, which keeps what sources sent, connection by connection."""

    def __init__(self, target: int) -> None:
        self.seen: list[bytearray] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            caller = self._listener.accept()[0]
            if not caller.recv(1, socket.MSG_PEEK):  # close() called
                caller.close()
                return
            self.seen.append(bytearray())
            thread = threading.Thread(target=self._relay, args=(caller, self.seen[-1]))
            self._threads.append(thread)
            thread.start()

    def _relay(self, caller: socket.socket, seen: bytearray) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._target)) as target:
            others = {caller: target, target: caller}
            while True:
                for end in select.select(list(others), [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is caller:
                        seen += data
                    others[end].sendall(data)

    def close(self) -> None:
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join(10)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


@contextmanager
def watched(site: Site) -> Iterator[Wire]:
    """Everything between the site's commands and its target goes over a wire that is watched."""
    target, wire = site.port, Wire(site.port)
    site.port = wire.port
    try:
        yield wire
    finally:
        site.port = target
        wire.close()


def test_first_contact_and_from_then_on_without_the_token(site: Site) -> None:
    (site.source / "file").write_bytes(b"seen by everybody")
    with watched(site) as wire:
        done = site.paired("mirror", site.source, site.url(), PLAIN)
        assert done.returncode == 0, done.stderr
        assert site.differences() == ""
        (site.source / "new").write_bytes(b"seen again")
        done = site.dtesx("mirror", site.source, site.url(), PLAIN)
        assert done.returncode == 0, done.stderr
        assert site.differences() == ""
    sent = b"".join(wire.seen)
    assert b"seen by everybody" in sent
    assert b"seen again" in sent
    assert site.token.read_bytes().strip() not in sent
    assert secret(site).encode() not in sent


def test_what_was_recorded_cannot_be_sent_again(site: Site) -> None:
    with watched(site) as wire:
        assert site.paired("mirror", site.source, site.url(), PLAIN).returncode == 0
        assert site.dtesx("mirror", site.source, site.url(), PLAIN).returncode == 0
    introduction, *mirrors = map(bytes, wire.seen)
    files = list((site.state / "sources").iterdir())
    known = [path.read_bytes() for path in files]
    assert len(mirrors) == 2
    for recorded in (introduction, *mirrors):
        assert b"code\xa7refused" in _sent_again(site, recorded)
    assert [path.read_bytes() for path in files] == known


def _sent_again(site: Site, recorded: bytes) -> bytes:
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as caller:
        caller.sendall(recorded)
        caller.shutdown(socket.SHUT_WR)
        while data := caller.recv(1 << 16):
            answer += data
    return bytes(answer)


def test_a_source_that_paired_over_tls_may_come_without_and_back(site: Site) -> None:
    with watched(site) as wire:
        assert site.paired("mirror", site.source, site.url()).returncode == 0
        assert all(seen.startswith(b"\x16") for seen in wire.seen)
        for options in ((PLAIN,), (), (PLAIN,)):
            (site.source / "file").write_bytes(os.urandom(1000))
            done = site.dtesx("mirror", site.source, site.url(), *options)
            assert done.returncode == 0, done.stderr
            assert site.differences() == ""
    assert [seen[:1] for seen in wire.seen[-3:]] == [b"D", b"\x16", b"D"]


def test_only_a_target_that_was_started_so_lets_sources_in_without_tls(idle: Site) -> None:
    idle.start()
    for arguments in ((), ("--token-file", idle.token)):
        idle.paired("verify", idle.source, idle.url())
        done = idle.dtesx("mirror", idle.source, idle.url(), PLAIN, *arguments)
        assert done.returncode == 4
        assert "without TLS" in done.stderr
        assert "--no-tls" in done.stderr
    assert not (idle.data / "www").exists()


def test_strangers_are_not_let_in(site: Site) -> None:
    done = site.dtesx("mirror", site.source, site.url(), PLAIN)
    assert done.returncode == 4
    assert "--token-file" in done.stderr
    (site.root / "wrong").write_text("abcd-efgh\n")
    done = site.dtesx("mirror", site.source, site.url(), PLAIN, "--token-file", site.root / "wrong")
    assert done.returncode == 4
    assert "token" in done.stderr
    assert not list((site.state / "sources").iterdir())
    assert not list(site.data.iterdir())


def test_a_wrong_secret(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url(), PLAIN).returncode == 0
    path = next((site.root / "client" / "targets").glob("*.secret"))
    path.write_text("0" * 64)
    done = site.dtesx("mirror", site.source, site.url(), PLAIN)
    assert done.returncode == 4
    assert "--token-file" in done.stderr
    assert site.paired("mirror", site.source, site.url(), PLAIN).returncode == 0


def test_another_target_at_the_same_address(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url(), PLAIN).returncode == 0
    assert site.end() == 0
    site.start(PLAIN, state=site.root / "other-state")
    done = site.dtesx("mirror", site.source, site.url(), PLAIN)
    assert done.returncode == 4
    assert "another certificate" in done.stderr


@pytest.fixture
def narrow(idle: Site) -> Iterator[Site]:
    """The site, with a target that has 40 MB of space."""
    idle.data.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(idle.data)])
    try:
        yield idle
        idle.end()
    finally:
        run(["umount", "-l", str(idle.data)])


def test_a_file_that_goes_past_the_memory_waits_for_space(narrow: Site) -> None:
    (narrow.source / "huge").write_bytes(os.urandom(24 << 20))
    ballast, full = narrow.data / "ballast", threading.Event()
    ballast.write_bytes(bytes(30 << 20))
    narrow.start(PLAIN, "--retry-delay", "1s")

    def progress(phase: MirrorPhase, _stats: MirrorStats) -> None:
        if phase is MirrorPhase.TARGET_FULL and not full.is_set():
            full.set()
            ballast.unlink()

    mirror(narrow, LinkOptions(tls=False), progress)
    assert full.is_set()
    assert narrow.differences() == ""


def test_several_connections(site: Site) -> None:
    (site.source / "many").mkdir()
    for number in range(40):
        (site.source / "many" / str(number)).write_bytes(os.urandom(200_000))
    (site.source / "huge").write_bytes(os.urandom(24 << 20))
    mirror(site, LinkOptions(tls=False, streams=3))
    assert site.differences() == ""


def test_garbage_does_not_end_the_target(site: Site) -> None:
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"DTSX" + b"\xff" * 500, b"\x16\x03\x01" + b"\xff" * 500, b""):
        with socket.create_connection(("127.0.0.1", site.port), timeout=10) as plain:
            plain.sendall(garbage)
    assert site.paired("mirror", site.source, site.url(), PLAIN).returncode == 0
