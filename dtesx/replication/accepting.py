"""The target's door: accepts connections, shakes hands, and lets in whom its host knows."""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dtesx.base.errors import ConnectionFailed, DtesxError, Refused
from dtesx.base.log import get_logger
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase
from dtesx.replication.binding import Binding
from dtesx.replication.orders import Orders
from dtesx.replication.pausing import Gate
from dtesx.replication.sources import Sources
from dtesx.replication.tasks import Tasks
from dtesx.wire.channel import TICK, Channel, tune
from dtesx.wire.errors import ProtocolError
from dtesx.wire.messages import Hello, Knock, Pair
from dtesx.wire.protocol import opening, refusal, response

log = get_logger(__name__)

Status = Callable[[WorkerPhase, MirrorStats, str], None]
"""Takes the phase, the counts of the present (or last) connection, and a message for people."""

_HANDSHAKE = 10.0
_HANDSHAKES = 8
_LINGER = 5.0
_TLS_HANDSHAKE = b"\x16"  # RFC 8446 5.1: the first byte of a ClientHello's record


@dataclass(frozen=True)
class Place:
    """Where one source at a time may write. ``roots`` maps its replication roots to their directories.

    ``binding`` remembers what was mirrored there; in the directory ``catalogue`` what was read of the
    roots is kept for the next time, in ``epochs`` what arrives in epochs until it is applied; ``tasks`` run
    between them. While ``gate`` is shut nothing is applied; ``orders`` takes orders about what waits then.
    """

    name: str
    roots: Mapping[str, Path]
    binding: Binding
    status: Status
    epochs: Path
    tasks: Tasks
    catalogue: Path | None = None
    gate: Gate = field(default_factory=Gate)
    orders: Orders = field(default_factory=Orders)


class Host(Protocol):
    """Knows the sources of a listener. Its methods are called by several threads at once."""

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection; it lets known sources in, or those without certificate."""

    @property
    def sources(self) -> Sources | None:
        """Makes sources known by a token, and lets them in without TLS; None where neither is done."""

    def admit(self, hello: Hello, certificate: bytes) -> Place:
        """The place of the source with ``certificate`` (DER, empty: none); raises to refuse it."""


@dataclass(frozen=True)
class Guest:
    """A source that was let in, and has not been welcomed yet; ``number`` counts callers as they called."""

    channel: Channel
    hello: Hello
    place: Place
    number: int


def accept(
    listener: socket.socket, host: Host, enter: Callable[[Guest], None], stop: threading.Event
) -> None:
    """Hand every source that ``host`` admits to ``enter``, from a thread of its own, until ``stop`` is set.

    ``enter`` may raise to refuse it.

    Nobody outside keeps others waiting: at most eight callers shake hands at a time, each for ten
    seconds at most.
    """
    slots = threading.BoundedSemaphore(_HANDSHAKES)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    listener.setblocking(False)
    numbers = itertools.count()
    while not stop.is_set():
        if not poll.poll(1000 * TICK):
            continue
        try:
            plain, peer = listener.accept()
        except OSError as error:  # the caller went away again, or we are out of descriptors
            log.warning("could not accept a connection", reason=str(error))
            time.sleep(TICK)
            continue
        if not slots.acquire(blocking=False):
            plain.close()
            continue
        door = _Door(plain, peer[0], next(numbers), host, enter, stop, slots)
        threading.Thread(target=door.run, name="dtesx-handshake", daemon=True).start()


@dataclass(frozen=True)
class _Door:
    """One caller, from the connection to the place that it gets."""

    plain: socket.socket
    peer: str
    number: int
    host: Host
    enter: Callable[[Guest], None]
    stop: threading.Event
    slots: threading.BoundedSemaphore

    def run(self) -> None:
        try:
            self._open()
        except (OSError, ConnectionFailed) as error:
            log.warning("a caller was turned away", peer=self.peer, reason=str(error))
        except Exception:  # one caller must not take the service with it
            log.error("a handshake failed", exc_info=True, peer=self.peer)
        finally:
            self.slots.release()

    def _open(self) -> None:
        try:
            self.plain.settimeout(_HANDSHAKE)
            tune(self.plain)
            secured = self._secured()
        except OSError:
            self.plain.close()
            raise
        deadline = time.monotonic() + _HANDSHAKE
        channel = Channel(secured or self.plain, tick=lambda: self._tick(deadline))
        try:
            self._greet(channel, secured)
        except DtesxError as error:
            log.warning("a source was refused", peer=self.peer, code=error.code, reason=error.message)
            with suppress(ConnectionFailed):
                channel.send(refusal(error))
                channel.linger(_LINGER)
            channel.close()
        except BaseException:
            channel.close()
            raise

    def _secured(self) -> ssl.SSLSocket | None:
        """The caller's connection with TLS; None when it comes without."""
        if self.plain.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            return None
        return self.host.context.wrap_socket(self.plain, server_side=True)

    def _greet(self, channel: Channel, secured: ssl.SSLSocket | None) -> None:
        message = opening(channel.receive())
        sources = self.host.sources
        if secured is None and (sources is None or not sources.plain):
            raise Refused(
                "this target takes no connections without TLS",
                hint="leave --no-tls away, or start the target with it (trusted links only)",
            )
        if isinstance(message, Knock):
            self._challenge(channel, message, secured)
        elif secured is None:
            raise ProtocolError("a source without TLS did not knock")
        else:
            self._enter(channel, message, secured.getpeercert(binary_form=True) or b"")

    def _challenge(self, channel: Channel, knock: Knock, secured: ssl.SSLSocket | None) -> None:
        if self.host.sources is None:
            raise Refused(
                "this target is paired already", hint="the appliance pairs sources: dtesx server add"
            )
        visit = self.host.sources.visit(knock)
        channel.send(visit.challenge)
        message = response(channel.receive())
        if isinstance(message, Pair):
            channel.send(visit.pair(message))
            channel.linger(_LINGER)
            channel.close()
        elif secured is not None:
            raise ProtocolError("a source with TLS shows its certificate instead of a proof")
        else:
            self._enter(channel, message, visit.recognise(message.proof))

    def _enter(self, channel: Channel, hello: Hello, certificate: bytes) -> None:
        self.enter(Guest(channel, hello, self.host.admit(hello, certificate), self.number))

    def _tick(self, deadline: float) -> None:
        if self.stop.is_set() or time.monotonic() > deadline:
            raise ConnectionFailed("the caller did not introduce itself in time")
