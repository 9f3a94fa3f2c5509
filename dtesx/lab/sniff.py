"""Finding a guest's address from outside: its frames on its tap, provoked by ARP requests.

A real VMware host learns the address from the tools in the guest. Here a guest that is silent by
itself is asked for each address of the subnet until one answers with its MAC.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from dtesx.lab.namespaces import call_inside

_ETH_ALL = 0x0003
_ARP = 0x0806
_IPV4 = 0x0800
_SWEEP_SECONDS = 1.0


@dataclass(frozen=True)
class Station:
    """Who asks. Its MAC must be its real one: the guest remembers it, and answers there from then on."""

    mac: str
    address: str


def mac_bytes(mac: str) -> bytes:
    """``00:50:56:...`` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def sender_address(frame: bytes, mac: str) -> str:
    """The IPv4 address that the card with ``mac`` uses in this Ethernet frame; "" when it shows none."""
    if len(frame) < 34 or frame[6:12] != mac_bytes(mac):
        return ""
    kind = int.from_bytes(frame[12:14], "big")
    at = {_ARP: 28, _IPV4: 26}.get(kind)
    if at is None or (kind == _ARP and frame[22:28] != mac_bytes(mac)):
        return ""
    address = IPv4Address(frame[at : at + 4])
    return "" if address.is_unspecified or address.is_link_local or address.is_multicast else str(address)


def arp_request(asker: Station, target: str) -> bytes:
    """A broadcast Ethernet frame in which ``asker`` asks who has ``target`` (RFC 826)."""
    mac = mac_bytes(asker.mac)
    body = struct.pack("!HHBBH", 1, _IPV4, 6, 4, 1)
    body += mac + IPv4Address(asker.address).packed + bytes(6) + IPv4Address(target).packed
    return b"\xff" * 6 + mac + _ARP.to_bytes(2, "big") + body + bytes(18)


def sweep(subnet: str, asker: Station) -> Iterator[bytes]:
    """One request for each host address of ``subnet`` but the asker's own."""
    for host in IPv4Network(subnet).hosts():
        if str(host) != asker.address:
            yield arp_request(asker, str(host))


class AddressWatch:
    """A thread that calls ``found`` once with the address of the card with ``mac`` on a tap."""

    def __init__(
        self, *, namespace: str, tap: str, mac: str, subnet: str, asker: Station, found: Callable[[str], None]
    ) -> None:
        self._mac = mac
        self._subnet = subnet
        self._asker = asker
        self._found = found
        self._stop = threading.Event()
        self._socket = call_inside(namespace, lambda: _packet_socket(tap))
        self._thread = threading.Thread(target=self._watch, name=f"address-{tap}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        next_sweep = 0.0
        with self._socket as sock:
            while not self._stop.is_set():
                if time.monotonic() >= next_sweep:
                    self._send(sock)
                    next_sweep = time.monotonic() + _SWEEP_SECONDS
                try:
                    address = sender_address(sock.recv(2048), self._mac)
                except TimeoutError:
                    continue
                except OSError:  # the tap went away with its machine
                    return
                if address:
                    self._found(address)
                    return

    def _send(self, sock: socket.socket) -> None:
        for frame in sweep(self._subnet, self._asker):
            try:
                sock.send(frame)
            except OSError:  # the guest reads nothing yet: the queue is full or the link is down
                return


def _packet_socket(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_ALL))
    sock.bind((interface, _ETH_ALL))
    sock.settimeout(0.3)
    return sock
