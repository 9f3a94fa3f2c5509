"""The target's side: a listener that lets one source at a time into each place, and survives all they do."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, Interrupted, Refused, TargetFull
from dtesx.base.log import get_logger
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase
from dtesx.replication.accepting import Guest, Host, Place, Status, accept
from dtesx.replication.target_session import TargetSession
from dtesx.wire.messages import Hello, Pair, Paired

log = get_logger(__name__)

_REPORT = 0.5


def serve(
    listener: socket.socket,
    context: ssl.SSLContext,
    roots: Mapping[str, Path],
    *,
    status: Status,
    stop: threading.Event,
) -> None:
    """Receive the mirrors of one job on ``listener`` until ``stop`` is set; returns within a second of it.

    ``roots`` maps replication roots to the directories that hold them. ``context`` must ask for the
    client's certificate: who gets through its handshake is the source. A new connection of the
    source ends the one before. No error of a connection ends the service; ``status`` is called at
    every change and about twice a second while data arrive.
    """
    status(WorkerPhase.LISTENING, MirrorStats(), "")
    receive(listener, _Job(context, Place("", roots, status)), stop=stop)
    status(WorkerPhase.STOPPED, MirrorStats(), "")


def receive(listener: socket.socket, host: Host, *, stop: threading.Event) -> None:
    """Receive what the sources of ``host`` mirror until ``stop`` is set; returns within a second of it.

    Places are served side by side, each by a thread of its own. Where a source comes to a place
    that has one, the newcomer takes over: it is the same source, whose first connection broke
    unnoticed.
    """
    lanes = _Lanes(stop)
    with _no_umask():
        try:
            accept(listener, host, lanes.enter, stop)
        finally:
            lanes.close()


@contextmanager
def _no_umask() -> Iterator[None]:
    # New files get their final mode from open(2), which spares a chmod for each.
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@dataclass(frozen=True)
class _Job:
    """The host of a job: one source, known by the context, and one place."""

    context: ssl.SSLContext
    place: Place

    def admit(self, hello: Hello, certificate: bytes) -> Place:  # noqa: ARG002 - the context checked it
        missing = [name for name in hello.roots if name not in self.place.roots]
        if missing or len(set(hello.roots)) != len(hello.roots):
            raise Refused(
                f"the target holds no replication root {', '.join(missing) or 'twice'}",
                hint="run the job again so that source and target agree on what is protected",
            )
        return self.place

    def pair(self, request: Pair) -> Paired:  # noqa: ARG002
        raise Refused("this target is paired already", hint="the appliance pairs sources: dtesx server add")


class _Lanes:
    """The lane of every place that a source came to."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    def enter(self, guest: Guest) -> None:
        with self._lock:
            if self._closed:
                guest.channel.close()
                return
            name = guest.place.name
            if name not in self._lanes:
                self._lanes[name] = _Lane(self._stop)
            self._lanes[name].waiting.put(guest)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """Serves one place: its sources one after another, in a thread of its own."""

    def __init__(self, stop: threading.Event) -> None:
        self.waiting: queue.Queue[Guest | None] = queue.Queue()
        self._stop = stop
        self._stats = MirrorStats()
        self._reported = 0.0
        self._thread = threading.Thread(target=self._run, name="dtesx-lane", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the end of the present session, which ``stop`` ended, and of the thread."""
        self.waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (guest := self.waiting.get()) is not None:
            if self._stop.is_set():
                guest.channel.close()
                continue
            self._stats = MirrorStats()
            phase, message = self._session(guest)
            if not self._stop.is_set():
                guest.place.status(phase, self._stats, message)

    def _session(self, guest: Guest) -> tuple[WorkerPhase, str]:
        session = TargetSession(
            guest,
            tick=self._tick,
            report=lambda stats: self._report(guest, stats),
            full=lambda reason: guest.place.status(WorkerPhase.TARGET_FULL, self._stats, reason),
        )
        try:
            session.run()
        except ConnectionFailed as error:
            log.info("the source left", place=guest.place.name, reason=error.message)
            return WorkerPhase.LISTENING, ""
        except TargetFull as error:
            log.warning("target full", place=guest.place.name, reason=error.message)
            return WorkerPhase.TARGET_FULL, error.message
        except DtesxError as error:
            log.warning(
                "the connection was ended", place=guest.place.name, code=error.code, reason=error.message
            )
            return WorkerPhase.LISTENING, error.message
        except Exception:  # one connection must not take the service with it
            log.error("a connection failed", exc_info=True, place=guest.place.name)
            return WorkerPhase.LISTENING, "an internal error ended the connection; see the log"
        finally:
            session.close()
        return WorkerPhase.LISTENING, ""

    def _tick(self) -> None:
        if self._stop.is_set():
            raise Interrupted("the target is shutting down", hint="start the mirror again later")
        if not self.waiting.empty():
            raise Conflict(
                "another connection of this source took over",
                hint="wait for the other mirror to the same place to end",
            )

    def _report(self, guest: Guest, stats: MirrorStats) -> None:
        self._tick()
        self._stats = stats
        now = time.monotonic()
        if now - self._reported >= _REPORT:
            self._reported = now
            guest.place.status(WorkerPhase.RECEIVING, stats, "")
