"""The target's side: a listener that lets exactly one source in at a time, and survives whatever it does."""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, Interrupted, TargetFull
from dtesx.base.log import get_logger
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase
from dtesx.replication.target_session import TargetSession
from dtesx.wire.channel import TICK, tune

log = get_logger(__name__)

Status = Callable[[WorkerPhase, MirrorStats, str], None]
"""Takes the phase, the counts of the present (or last) connection, and a message for people."""

_HANDSHAKE = 10.0
_HANDSHAKES = 8
_REPORT = 0.5


def serve(
    listener: socket.socket,
    context: ssl.SSLContext,
    roots: Mapping[str, Path],
    *,
    status: Status,
    stop: threading.Event,
) -> None:
    """Receive mirrors on ``listener`` until ``stop`` is set; returns within a second of it.

    ``roots`` maps replication roots to the directories that hold them. ``context`` must ask for the
    client's certificate: who gets through its handshake is the source. A new connection of the
    source ends the one before. No error of a connection ends the service; ``status`` is called at
    every change and about twice a second while data arrive.
    """
    ready: queue.Queue[ssl.SSLSocket] = queue.Queue()
    ended = threading.Event()
    acceptor = threading.Thread(
        target=_accept, args=(listener, context, ready, ended), name="dtesx-accept", daemon=True
    )
    with _no_umask():
        acceptor.start()
        try:
            _Receiver(ready, roots, status, stop).run()
        finally:
            ended.set()
            acceptor.join()
            while not ready.empty():
                ready.get().close()
    status(WorkerPhase.STOPPED, MirrorStats(), "")


@contextmanager
def _no_umask() -> Iterator[None]:
    # New files get their final mode from open(2), which spares a chmod for each.
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _accept(
    listener: socket.socket,
    context: ssl.SSLContext,
    ready: queue.Queue[ssl.SSLSocket],
    ended: threading.Event,
) -> None:
    slots = threading.BoundedSemaphore(_HANDSHAKES)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    listener.setblocking(False)
    while not ended.is_set():
        if not poll.poll(1000 * TICK):
            continue
        try:
            plain, peer = listener.accept()
        except OSError as error:  # the caller went away again, or we are out of descriptors
            log.warning("could not accept a connection", reason=str(error))
            ended.wait(TICK)
            continue
        if not slots.acquire(blocking=False):
            plain.close()
            continue
        args = (plain, peer[0], context, ready, slots)
        threading.Thread(target=_shake_hands, args=args, name="dtesx-handshake", daemon=True).start()


def _shake_hands(
    plain: socket.socket,
    peer: str,
    context: ssl.SSLContext,
    ready: queue.Queue[ssl.SSLSocket],
    slots: threading.BoundedSemaphore,
) -> None:
    try:
        plain.settimeout(_HANDSHAKE)
        tune(plain)
        ready.put(context.wrap_socket(plain, server_side=True))
    except OSError as error:
        plain.close()
        log.warning("a caller was turned away", peer=peer, reason=str(error))
    finally:
        slots.release()


class _Receiver:
    def __init__(
        self,
        ready: queue.Queue[ssl.SSLSocket],
        roots: Mapping[str, Path],
        status: Status,
        stop: threading.Event,
    ) -> None:
        self._ready = ready
        self._roots = roots
        self._status = status
        self._stop = stop
        self._stats = MirrorStats()
        self._reported = 0.0

    def run(self) -> None:
        self._status(WorkerPhase.LISTENING, self._stats, "")
        while not self._stop.is_set():
            try:
                sock = self._ready.get(timeout=TICK)
            except queue.Empty:
                continue
            self._stats = MirrorStats()
            phase, message = self._session(sock)
            if not self._stop.is_set():
                self._status(phase, self._stats, message)

    def _session(self, sock: ssl.SSLSocket) -> tuple[WorkerPhase, str]:
        session = TargetSession(sock, self._roots, tick=self._tick, report=self._report)
        try:
            session.run()
        except ConnectionFailed as error:
            log.info("the source left", reason=error.message)
            return WorkerPhase.LISTENING, ""
        except TargetFull as error:
            log.warning("target full", reason=error.message)
            return WorkerPhase.TARGET_FULL, error.message
        except DtesxError as error:
            log.warning("the connection was ended", code=error.code, reason=error.message)
            return WorkerPhase.LISTENING, error.message
        except Exception:  # one connection must not take the service with it
            log.error("a connection failed", exc_info=True)
            return WorkerPhase.LISTENING, "an internal error ended the connection; see the log"
        finally:
            session.close()
        return WorkerPhase.LISTENING, ""

    def _tick(self) -> None:
        if self._stop.is_set():
            raise Interrupted("the target is shutting down", hint="start the mirror again later")
        if not self._ready.empty():
            raise Conflict(
                "another connection of this source took over",
                hint="wait for the other mirror of this job to end",
            )

    def _report(self, stats: MirrorStats) -> None:
        self._tick()
        self._stats = stats
        now = time.monotonic()
        if now - self._reported >= _REPORT:
            self._reported = now
            self._status(WorkerPhase.RECEIVING, stats, "")
