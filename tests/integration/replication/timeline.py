"""What travels to a port of the loopback interface, and when, as the kernel saw it."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from dataclasses import dataclass

_ETH_IP = 0x0800
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SNAP = 96


@dataclass(frozen=True)
class Sent:
    """TCP payload of one packet; ``when`` in nanoseconds."""

    when: int
    bytes: int


class Timeline:
    """Records the packets to ``port`` until the context ends."""

    def __init__(self, port: int) -> None:
        self.sent: list[Sent] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 32 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _only_port(self._socket, port)
        self._socket.bind(("lo", _ETH_IP))
        self._socket.settimeout(0.1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Timeline:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def most(self, nanoseconds: int, *, since: int = 0) -> int:
        """The most bytes in any window of that length that begins at ``since`` or later."""
        most = inside = first = 0
        sent = [packet for packet in self.sent if packet.when >= since]
        for packet in sent:
            inside += packet.bytes
            while packet.when - sent[first].when >= nanoseconds:
                inside -= sent[first].bytes
                first += 1
            most = max(most, inside)
        return most

    def _run(self) -> None:
        while True:
            try:
                packet, ancillary, _, sender = self._socket.recvmsg(_SNAP, 64)
            except TimeoutError:
                if self._over.is_set():
                    return
                continue
            if sender[2] == socket.PACKET_OUTGOING:  # each packet of the loopback is seen twice
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            header = 4 * (packet[0] & 15)
            payload = int.from_bytes(packet[2:4], "big") - header - 4 * (packet[header + 12] >> 4)
            self.sent.append(Sent(seconds * 10**9 + nanoseconds, payload))


def _only_port(sock: socket.socket, port: int) -> None:
    """Have the kernel keep TCP packets to ``port`` alone (bpf(4): load, compare, return the snap length)."""
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (0x30, 0, 0, 9),  # the protocol
            (0x15, 0, 4, socket.IPPROTO_TCP),
            (0xB1, 0, 0, 0),  # X = the length of the IP header
            (0x48, 0, 0, 2),  # the destination port
            (0x15, 0, 1, port),
            (0x06, 0, 0, _SNAP),
            (0x06, 0, 0, 0),
        )
    )
    buffer = ctypes.create_string_buffer(program)
    sock.setsockopt(
        socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    )
