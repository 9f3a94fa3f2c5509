"""Keeping a source's bond connected: calling the target, and calling again when a connection is lost."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from dtesx.base.errors import ConnectionFailed, DtesxError
from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.replication import knocking
from dtesx.wire.bond import Bond
from dtesx.wire.channel import Channel, tune
from dtesx.wire.limiter import Limiter
from dtesx.wire.messages import Hello, Welcome
from dtesx.wire.pairing import Shared
from dtesx.wire.protocol import answer

log = get_logger(__name__)

_CONNECT_TIMEOUT = 20.0
_GREETING = 30.0
_GREETING_BYTES = 3072  # at most, with TLS and a certificate; about 1000 with the keys of wire.identity


@dataclass(frozen=True)
class Route:
    """Where a target listens, and what proves both sides to each other: TLS, or a shared secret."""

    address: str
    port: int
    security: ssl.SSLContext | Shared


def connect(address: str, port: int) -> socket.socket:
    """Connect. Raises ConnectionFailed when nobody answers."""
    where = f"{address}:{port}"
    try:
        sock = socket.create_connection((address, port), timeout=_CONNECT_TIMEOUT)
        tune(sock)
    except OSError as error:
        raise ConnectionFailed(
            f"the target at {where} does not answer: {error}",
            hint="check that the target is running and that no firewall blocks the port",
        ) from error
    return sock


def connect_tls(address: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect with TLS. Raises ConnectionFailed (nobody there) or Refused (not the target we know)."""
    where = f"{address}:{port}"
    plain = connect(address, port)
    try:
        return context.wrap_socket(plain)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise knocking.other_target(where) from error
    except OSError as error:
        plain.close()
        raise ConnectionFailed(
            f"no secure connection to {where}: {error}", hint="check that this is the target's data port"
        ) from error


def call(route: Route, hello: Hello) -> tuple[Channel, Welcome]:
    """Connect and introduce ourselves. Raises ConnectionFailed, or the error with which we are refused."""
    deadline = time.monotonic() + _GREETING

    def tick() -> None:
        if time.monotonic() > deadline:
            raise ConnectionFailed("the target does not answer", hint="check that this is a target's port")

    address, port, security = route.address, route.port, route.security
    sock = connect(address, port) if isinstance(security, Shared) else connect_tls(address, port, security)
    channel = Channel(sock, tick=tick)
    try:
        if isinstance(security, Shared):
            proof = knocking.proof(channel, security, f"{address}:{port}")
            hello = msgspec.structs.replace(hello, proof=proof)
        channel.send(hello)
        return channel, answer(channel.receive(), Welcome)
    except BaseException:
        channel.close()
        raise


@dataclass
class _Slot:
    delays: Iterator[float]
    due: float = 0.0
    paid: bool = False
    calling: bool = False
    connected: bool = False
    progress: int = 0


@dataclass(frozen=True)
class _Outcome:
    slot: int
    channel: Channel | None = None
    welcome: Welcome | None = None
    error: Exception | None = None


class Dialer:
    """Keeps ``slots`` connections of ``bond`` up; the first one begins the stream, others join it.

    ``hello`` is that of the first connection. A lost connection is made again after ``backoff``'s
    delays; the tries count anew whenever the target has taken something. ``maintain`` is to be called
    often, by the thread that owns the bond; calls are made by threads of their own.

    ``limiter`` learns what a call sends: before it, as other connections may have used up the present
    second, and after it, as the call may have taken long and they have more to send in the next.
    """

    def __init__(
        self,
        bond: Bond,
        caller: Callable[[Hello], tuple[Channel, Welcome]],
        hello: Hello,
        *,
        slots: int,
        backoff: Backoff,
        limiter: Limiter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bond = bond
        self._caller = caller
        self._hello = hello
        self._slots = [_Slot(backoff.delays()) for _ in range(slots)]
        self._backoff = backoff
        self._limiter = limiter
        self._clock = clock
        self._begun = False
        self._patient = False
        self._outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    def maintain(self, *, patient: bool = False) -> None:
        """Attach new connections and call for those that are missing.

        Raises ConnectionFailed when there is none left and the tries are used up (they never are
        while ``patient``), and whatever another refusal to let us in says.
        """
        if self._closed or len(self._bond.slots) == len(self._slots):
            return
        self._patient = patient
        while not self._outcomes.empty():
            self._answered(self._outcomes.get())
        now = self._clock()
        for number, slot in enumerate(self._slots):
            if slot.connected and number not in self._bond.slots:
                slot.connected = False
                self._failed(number, self._bond.lost[number])
            if not slot.connected and not slot.calling and now >= slot.due and (self._begun or not number):
                self._prepare(number, now)

    def close(self) -> None:
        """Make no more calls; one that is under way is given up when it gets through."""
        with self._lock:
            self._closed = True
        while not self._outcomes.empty():
            channel = self._outcomes.get().channel
            if channel is not None:
                channel.close()

    def _prepare(self, number: int, now: float) -> None:
        """Call, if what the call sends has been saved up; the first one ever finds the second unused."""
        slot = self._slots[number]
        wait = self._limiter.charge(_GREETING_BYTES) if self._begun and not slot.paid else 0.0
        slot.paid, slot.due = True, now + wait
        if not wait:
            self._call(number)

    def _call(self, number: int) -> None:
        self._slots[number].calling, self._slots[number].paid = True, False
        received = self._bond.incoming.received
        hello = msgspec.structs.replace(self._hello, slot=number, resume=self._begun, received=received)
        threading.Thread(target=self._run, args=(number, hello), name="dtesx-call", daemon=True).start()

    def _run(self, number: int, hello: Hello) -> None:
        try:
            channel, welcome = self._caller(hello)
        except Exception as error:
            outcome = _Outcome(number, error=error)
        else:
            outcome = _Outcome(number, channel, welcome)
        with self._lock:
            if not self._closed:
                self._outcomes.put(outcome)
            elif outcome.channel is not None:
                outcome.channel.close()
        self._bond.wake()

    def _answered(self, outcome: _Outcome) -> None:
        slot = self._slots[outcome.slot]
        slot.calling = False
        if outcome.channel is not None and outcome.welcome is not None:
            self._bond.attach(outcome.slot, outcome.channel.connection, outcome.welcome.received)
            self._begun = slot.connected = True
            self._limiter.charge(_GREETING_BYTES)
        elif isinstance(outcome.error, ConnectionFailed):
            self._failed(outcome.slot, outcome.error)
        elif outcome.error is not None:
            raise outcome.error

    def _failed(self, number: int, error: DtesxError) -> None:
        slot, bond = self._slots[number], self._bond
        progress = bond.outgoing.applied + bond.incoming.received
        if progress > slot.progress:
            slot.progress, slot.delays = progress, self._backoff.delays()
        delay = next(slot.delays, None)
        if delay is None:
            if not bond.slots and not self._patient:
                raise ConnectionFailed(
                    f"the mirror lost its target for good: {error.message}",
                    hint=error.hint or "check the network and the target, then start the mirror again",
                ) from error
            delay, slot.delays = self._backoff.cap, self._backoff.delays()
        log.warning("no connection to the target", slot=number, reason=error.message, again_in=delay)
        slot.due = self._clock() + delay
