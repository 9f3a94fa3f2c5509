"""One connection as the source sees it: greet, mirror root after root, have each made durable."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator

from dtesx.base.errors import ConnectionFailed, Refused, TargetFull
from dtesx.base.log import get_logger
from dtesx.mirror.delta import Segment
from dtesx.mirror.diff import Listings
from dtesx.mirror.mirroring import TreeMirror
from dtesx.mirror.packing import Content, Packer
from dtesx.mirror.selection import Scope
from dtesx.mirror.tally import Tally
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.wire.channel import Channel, tune
from dtesx.wire.messages import Acknowledgement, Credit, Directory, Listing, Message, Paused
from dtesx.wire.operations import Operation, Operations
from dtesx.wire.protocol import SourceProtocol
from dtesx.wire.sums import Sums, SumsRequest

log = get_logger(__name__)

WINDOW = 32 << 20
"""Bytes of operations that may be on their way without an acknowledgement."""

_CONNECT_TIMEOUT = 20.0


def connect(address: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect with TLS. Raises ConnectionFailed (nobody there) or Refused (not the target we know)."""
    where = f"{address}:{port}"
    try:
        plain = socket.create_connection((address, port), timeout=_CONNECT_TIMEOUT)
    except OSError as error:
        raise ConnectionFailed(
            f"the target at {where} does not answer: {error}",
            hint="check that the target is running and that no firewall blocks the port",
        ) from error
    try:
        tune(plain)
        return context.wrap_socket(plain)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise Refused(
            f"{where} shows another certificate than the target that this source knows",
            hint="if that is right, pair again: `dtesx server add` for a job, else --token-file FILE",
        ) from error
    except OSError as error:
        plain.close()
        raise ConnectionFailed(
            f"no secure connection to {where}: {error}", hint="check that this is the target's data port"
        ) from error


class SourceSession:
    """A connected session. Every method raises the error that ended it.

    ``tick`` is called at least five times a second and may raise to stop. ``progressed``: the
    target took something; ``full``: it waits for space at present.
    """

    def __init__(
        self, sock: socket.socket, *, job: str, roots: tuple[str, ...], tally: Tally, tick: Callable[[], None]
    ) -> None:
        self._channel = Channel(sock, tick=self._ticked)
        self._protocol = SourceProtocol(job=job, roots=roots)
        self._roots = roots
        self._tally = tally
        self._tick = tick
        self._wire_before = tally.bytes_wire
        self._shown = b""
        self._listed: list[Listing] = []
        self._answers: deque[Sums] = deque()
        self.progressed = False
        self.full = False

    def greet(self) -> None:
        """Introduce ourselves; returns when the target let us in."""
        self._send(self._protocol.hello)
        self._receive()

    def mirror(self, index: int, root: int, *, scope: Scope | None, options: MirrorOptions) -> None:
        """Mirror what ``scope`` selects of the tree behind ``root`` (a descriptor) to the root ``index``.

        When it returns, the target has all of it on disk.
        """
        self._shown = self._roots[index].encode(errors="surrogateescape").rstrip(b"/")

        def send(operations: list[Operation], blob: list[Content]) -> None:
            self._send_operations(Operations(index, operations), blob)

        TreeMirror(
            root,
            Listings(self.listing(index, sums=options.compare is Compare.DATA)),
            Packer(send),
            _Asker(index, self._send, self._answer),
            self._tally,
            scope=scope,
            options=options,
            shown=self._shown,
            pause=self._ticked,
        ).run()
        while self._protocol.in_flight:
            self._receive()
        self._send(self._protocol.commit_root(index))
        while self._protocol.committing:
            self._receive()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def listing(self, index: int, *, sums: bool = False) -> Iterator[Directory]:
        """What the target has below its root ``index``, in walking order; ``sums``: of small files."""
        self._send(self._protocol.list_root(index, sums=sums))
        last = False
        while not last:
            while not self._listed:
                self._receive()
            listing = self._listed.pop(0)
            last = listing.last
            yield from listing.directories
            if not last:
                self._send(Credit(1))

    def _answer(self, wait: bool) -> Sums | None:
        while not self._answers:
            if wait:
                self._receive()
            elif (frame := self._channel.poll()) is not None:
                self._handle(self._protocol.receive(frame))
            else:
                return None
        return self._answers.popleft()

    def _send_operations(self, message: Operations, blob: list[Content]) -> None:
        sequence, size = self._send(message, blob)
        self._protocol.sent(sequence, size)
        while (frame := self._channel.poll()) is not None:
            self._handle(self._protocol.receive(frame))
        while self._protocol.in_flight > WINDOW:
            self._receive()

    def _send(self, message: Message, blob: list[Content] | None = None) -> tuple[int, int]:
        try:
            return self._channel.send(message, blob or ())
        except ConnectionFailed:
            self._explain()
            raise

    def _explain(self) -> None:
        """Raise what the target said before it closed, if it said anything."""
        try:
            while (frame := self._channel.poll()) is not None:
                self._handle(self._protocol.receive(frame))
        except ConnectionFailed:
            return

    def _receive(self) -> None:
        self._handle(self._protocol.receive(self._channel.receive()))

    def _handle(self, message: Message) -> None:
        if isinstance(message, Listing):
            self._listed.append(message)
        elif isinstance(message, Sums):
            self._answers.append(message)
        elif isinstance(message, Acknowledgement):
            self.progressed, self.full = True, False
            self._tally.orphans_removed += message.removed
            self._tally.orphans_bytes += message.removed_bytes
            for path, reason in message.problems:
                self._tally.problem(self._shown + b"/" + path, f"on the target: {reason}")
        elif isinstance(message, Paused):
            if not self.full:
                log.warning("the target waits", code=message.code, reason=message.reason)
            self.full = message.code == TargetFull.code

    def _ticked(self) -> None:
        self._tally.bytes_wire = self._wire_before + self._channel.sent + self._channel.received
        self._tick()


class _Asker:
    """Asks for sums of one root's files."""

    def __init__(
        self, root: int, send: Callable[[Message], object], answer: Callable[[bool], Sums | None]
    ) -> None:
        self._root = root
        self._send = send
        self._answer = answer

    def ask(self, number: int, directory: bytes, name: bytes, segment: Segment, sums: bytes) -> None:
        """See ``mirror.comparing.Asker``."""
        self._send(SumsRequest(self._root, number, directory, name, segment.offset, segment.length, sums))

    def answer(self, *, wait: bool) -> Sums | None:
        """See ``mirror.comparing.Asker``."""
        return self._answer(wait)
