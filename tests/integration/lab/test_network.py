"""Namespaces, the switch between them, and forwards from the host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from dtesx.base.errors import NotFound
from dtesx.base.run import run
from dtesx.lab.forward import Endpoint, Forwarder, LoopbackClaim
from dtesx.lab.leftovers import lab_identity
from dtesx.lab.namespaces import call_inside
from dtesx.lab.network import BRIDGE, GATEWAY_MAC, Network, lab_network, namespaces_of

pytestmark = pytest.mark.integration


def serve_hash(namespace: str, address: str, port: int) -> socket.socket:
    """A server in a namespace: reads to the end, then answers with the SHA-256 of what came."""
    server = call_inside(namespace, lambda: socket.create_server((address, port)))

    def loop() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                digest = hashlib.sha256()
                while data := client.recv(1 << 16):
                    digest.update(data)
                client.sendall(digest.digest())

    threading.Thread(target=loop, daemon=True).start()
    return server


def test_machines_reach_each_other_until_one_is_unplugged(network: Network) -> None:
    with (
        network.port("a", "10.77.0.20", "52:54:00:77:01:01") as a,
        network.port("b", "10.77.0.21", "52:54:00:77:01:02") as b,
        serve_hash(b.namespace, b.address, 4000),
    ):

        def dial() -> socket.socket:
            return socket.create_connection((b.address, 4000), timeout=1)

        call_inside(a.namespace, dial).close()
        network.unplug("b")
        with pytest.raises(OSError, match=r"timed out|No route"):
            call_inside(a.namespace, dial)
        with pytest.raises(NotFound):
            network.unplug("c")


def test_the_switch_keeps_its_address_while_machines_come_and_go(network: Network) -> None:
    def address() -> str:
        show = ["ip", "-n", network.namespace, "-json", "link", "show", BRIDGE]
        return str(json.loads(run(show).text)[0]["address"])

    assert address() == GATEWAY_MAC
    with network.port("a", "10.77.0.20", "52:54:00:77:01:01"), network.tap("replica0") as tap:
        run(["ip", "-n", network.namespace, "link", "set", tap, "address", "02:00:00:00:00:01"])
        assert address() == GATEWAY_MAC, "not its lowest port's"
    assert address() == GATEWAY_MAC


def test_nothing_of_the_lab_is_on_the_host(network: Network) -> None:
    with network.port("a", "10.77.0.20", "52:54:00:77:01:01"):
        assert "10.77.0." not in run(["ip", "address"]).text
        assert "10.77.0." not in run(["ip", "route"]).text


def test_a_forward_carries_bytes_both_ways_and_the_end_of_the_stream(network: Network) -> None:
    sent = os.urandom(5 << 20)
    with (
        network.port("b", "10.77.0.21", "52:54:00:77:01:02") as b,
        serve_hash(b.namespace, b.address, 4000),
        LoopbackClaim() as claim,
        Forwarder(network.namespace, claim.address) as forwarder,
    ):
        where = forwarder.forward(Endpoint(b.address, 4000), port=4000)
        assert where.address.startswith("127.0.77.")
        for _ in range(3):
            with socket.create_connection((where.address, where.port), timeout=10) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(64) == hashlib.sha256(sent).digest()


def test_a_forward_to_nobody_ends_the_connection_at_once(network: Network) -> None:
    with LoopbackClaim() as claim, Forwarder(network.namespace, claim.address) as forwarder:
        where = forwarder.forward(Endpoint("10.77.0.1", 9), port=4000)
        with socket.create_connection((where.address, where.port), timeout=5) as client:
            assert client.recv(1) == b""


def test_closing_a_forwarder_cuts_its_connections_and_frees_the_port(network: Network) -> None:
    with LoopbackClaim() as claim, network.port("b", "10.77.0.21", "52:54:00:77:01:02") as b:
        server = serve_hash(b.namespace, b.address, 4000)
        with server, Forwarder(network.namespace, claim.address) as forwarder:
            where = forwarder.forward(Endpoint(b.address, 4000), port=4000)
            client = socket.create_connection((where.address, where.port), timeout=5)
            client.sendall(b"x")
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(64) == b""
        socket.create_server((where.address, where.port)).close()


def test_two_labs_at_once_share_nothing(tmp_path: Path) -> None:
    with (
        lab_network(lab_identity(tmp_path / "one")) as one,
        lab_network(lab_identity(tmp_path / "two")) as two,
        one.port("a", "10.77.0.20", "52:54:00:77:01:01"),
        two.port("a", "10.77.0.20", "52:54:00:77:01:01") as other,
        serve_hash(other.namespace, other.address, 4000),
        LoopbackClaim() as first,
        LoopbackClaim() as second,
    ):
        assert first.address != second.address
        call_inside(two.namespace, lambda: socket.create_connection(("10.77.0.20", 4000), 1)).close()
        with pytest.raises(ConnectionRefusedError):
            call_inside(one.namespace, lambda: socket.create_connection(("10.77.0.20", 4000), 1))
    assert namespaces_of(one.identity) == namespaces_of(two.identity) == ()
