"""The target's side: a listener that lets one source at a time into each place, and survives all they do."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, Interrupted, Refused, TargetFull
from dtesx.base.log import get_logger
from dtesx.base.working_directory import own_working_directory
from dtesx.model.stats import MirrorStats
from dtesx.model.target import TargetOptions, WorkerPhase
from dtesx.replication.accepting import Guest, Host, Place, Status, accept
from dtesx.replication.backlog import Backlog
from dtesx.replication.binding import Binding
from dtesx.replication.orders import Orders
from dtesx.replication.pausing import Gate
from dtesx.replication.target_session import Service, TargetSession
from dtesx.replication.tasks import Tasks
from dtesx.wire.channel import TICK
from dtesx.wire.errors import StreamUnknown
from dtesx.wire.messages import Hello, Hold

log = get_logger(__name__)

DEFAULTS = TargetOptions()

_REPORT = 0.5
_SUPERSEDED = 16


def serve(
    listener: socket.socket,
    context: ssl.SSLContext,
    roots: Mapping[str, Path],
    *,
    binding: Binding,
    status: Status,
    stop: threading.Event,
    tasks: Tasks,
    catalogue: Path | None = None,
    gate: Gate | None = None,
    orders: Orders | None = None,
    job: str | None = None,
    options: TargetOptions = DEFAULTS,
) -> None:
    """Receive the mirrors of one job on ``listener`` until ``stop`` is set; returns within a second of it.

    ``roots`` maps replication roots to the directories that hold them, ``binding`` remembers what was
    mirrored there. ``context`` must ask for the
    client's certificate: who gets through its handshake is the source. A new connection of the
    source ends the one before. No error of a connection ends the service; ``status`` is called at
    every change and about twice a second while data arrive. In the directory ``catalogue`` what was
    read of the roots is kept for the next time, in the directory of ``tasks`` what arrives in epochs.
    While ``gate`` is shut nothing is applied; ``orders`` takes orders about what waits then. With ``job``
    no other job of the source is let in: it may have one that was deleted while it was away, and go on
    replicating to the port that was that job's.
    """
    status(WorkerPhase.LISTENING, MirrorStats(), "")
    kept = tasks.epochs, tasks, catalogue
    place = Place("", roots, binding, status, *kept, gate or Gate(), orders or Orders())
    receive(listener, _Job(context, place, job), stop=stop, options=options)
    status(WorkerPhase.STOPPED, MirrorStats(), "")


def receive(
    listener: socket.socket, host: Host, *, stop: threading.Event, options: TargetOptions = DEFAULTS
) -> None:
    """Receive what the sources of ``host`` mirror until ``stop`` is set; returns within a second of it.

    Places are served side by side, each by a thread of its own. Where a source comes to a place
    that has one, the newcomer takes over: it is the same source, whose first connection broke
    unnoticed.
    """
    lanes = _Lanes(stop, options)
    with _no_umask():
        try:
            accept(listener, host, lanes.enter, stop)
        finally:
            lanes.close()


@contextmanager
def _no_umask() -> Iterator[None]:
    # New files get their final mode from open(2), which spares a chmod for each.
    own_working_directory()  # and so no thread but ours and those it starts gets another umask
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
    job: str | None = None
    sources: None = None

    def admit(self, hello: Hello, certificate: bytes) -> Place:  # noqa: ARG002 - the context checked it
        if self.job is not None and hello.job != self.job:
            raise Refused(
                "the target is another job's",
                hint="restart the source service, so that it forgets a job that is no more",
            )
        missing = [name for name in hello.roots if name not in self.place.roots]
        if missing or len(set(hello.roots)) != len(hello.roots):
            raise Refused(
                f"the target holds no replication root {', '.join(missing) or 'twice'}",
                hint="run the job again so that source and target agree on what is protected",
            )
        return self.place


class _Lanes:
    """The lane of every place that a source came to."""

    def __init__(self, stop: threading.Event, options: TargetOptions) -> None:
        self._stop, self._options, self._backlog = stop, options, Backlog(options)
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    def enter(self, guest: Guest) -> None:
        with self._lock:
            if self._closed:
                raise ConnectionFailed("the target is shutting down")
            name = guest.place.name
            if name not in self._lanes:
                self._lanes[name] = _Lane(self._stop, self._options, self._backlog)
            self._lanes[name].enter(guest)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """Serves one place: its sources' streams one after another, in a thread of its own."""

    def __init__(self, stop: threading.Event, options: TargetOptions, backlog: Backlog) -> None:
        self._stop, self._options, self._backlog = stop, options, backlog
        self._lock = threading.Condition()
        self._waiting: deque[Guest] = deque()
        self._stream = b""
        self._since = 0
        self._superseded: deque[bytes] = deque(maxlen=_SUPERSEDED)
        self._session: TargetSession | None = None
        self._phase = WorkerPhase.LISTENING
        self._stats = MirrorStats()
        self._reported = 0.0
        self._thread = threading.Thread(target=self._run, name="dtesx-lane", daemon=True)
        self._thread.start()

    def enter(self, guest: Guest) -> None:
        """Take a source in; StreamUnknown or Conflict when it wants to go on with what is over."""
        hello = guest.hello
        with self._lock:
            if hello.stream in self._superseded:
                raise _taken_over()
            if hello.resume and hello.stream != self._stream:
                raise StreamUnknown(
                    "the target does not know this stream any more",
                    hint="start the mirror again; it goes on with what differs",
                )
            if not hello.resume and hello.stream != self._stream:
                if self._stream:
                    # A source that was killed in its greeting must not take over from its successor.
                    if guest.number < self._since:
                        raise _taken_over()
                    self._superseded.append(self._stream)
                self._stream, self._since = hello.stream, guest.number
            self._turn_away(hello)
            self._waiting.append(guest)
            self._lock.notify()
            if self._session is not None:
                self._session.wake()

    def _turn_away(self, hello: Hello) -> None:
        """Those who wait in vain once another has come: so never more wait than there are slots."""
        for guest in list(self._waiting):
            theirs = guest.hello
            if theirs.stream != hello.stream or (theirs.slot, theirs.resume) == (hello.slot, hello.resume):
                self._waiting.remove(guest)
                guest.channel.close()

    def close(self) -> None:
        """Wait for the end of the present session, which ``stop`` ended, and of the thread."""
        self._thread.join()
        for guest in self._waiting:
            guest.channel.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                if not self._waiting:
                    self._lock.wait(TICK)
                    continue
                guest = self._waiting.popleft()
            if guest.hello.stream != self._stream or guest.hello.resume:
                guest.channel.close()  # what it wanted to join is over; it calls again and is told so
                continue
            self._stats = MirrorStats()
            phase, message = self._serve(guest)
            if not self._stop.is_set():
                self._say(guest.place, phase, message)

    def _serve(self, guest: Guest) -> tuple[WorkerPhase, str]:
        place, stream = guest.place, guest.hello.stream
        service = Service(
            tick=lambda: self._tick(place),
            report=lambda stats: self._report(place, stats),
            held=lambda why, reason: self._say_held(place, why, reason),
            options=self._options,
            backlog=self._backlog,
        )
        session = TargetSession(guest, service)
        with self._lock:
            self._session = session
        try:
            session.run()
        except ConnectionFailed as error:
            log.info("the source left", place=place.name, reason=error.message)
            return WorkerPhase.LISTENING, ""
        except TargetFull as error:
            log.warning("target full", place=place.name, reason=error.message)
            return WorkerPhase.TARGET_FULL, error.message
        except DtesxError as error:
            log.warning("the stream was ended", place=place.name, code=error.code, reason=error.message)
            return WorkerPhase.LISTENING, error.message
        except Exception:  # one stream must not take the service with it
            log.error("a stream failed", exc_info=True, place=place.name)
            return WorkerPhase.LISTENING, "an internal error ended the stream; see the log"
        finally:
            with self._lock:
                self._session = None
                if self._stream == stream:
                    self._stream = b""
            session.close()
        return WorkerPhase.LISTENING, ""

    def _tick(self, place: Place) -> None:
        if self._stop.is_set():
            raise Interrupted("the target is shutting down", hint="start the mirror again later")
        session = self._session
        assert session is not None
        with self._lock:
            while self._waiting and self._waiting[0].hello.stream == session.stream:
                session.join(self._waiting.popleft())
            if self._waiting:
                raise _taken_over()
        if not session.connected and self._phase is WorkerPhase.RECEIVING:
            log.info("the source's connection is lost", place=place.name)
            self._say(place, WorkerPhase.LISTENING, "the source's connection is lost; waiting for it")

    def _say_held(self, place: Place, why: Hold, reason: str) -> None:
        if why is Hold.FULL:
            reason = f"no space is left on the target ({reason}); free some and the mirror goes on"
            self._say(place, WorkerPhase.TARGET_FULL, reason)
        elif why is Hold.PAUSED:
            self._say(place, WorkerPhase.PAUSED, reason)

    def _report(self, place: Place, stats: MirrorStats) -> None:
        self._stats = stats
        self._tick(place)
        if time.monotonic() - self._reported >= _REPORT or self._phase is not WorkerPhase.RECEIVING:
            self._say(place, WorkerPhase.RECEIVING, "")

    def _say(self, place: Place, phase: WorkerPhase, message: str) -> None:
        self._phase, self._reported = phase, time.monotonic()
        place.status(phase, self._stats, message)


def _taken_over() -> Conflict:
    return Conflict(
        "another mirror of this source to the same place took over", hint="wait for the other one to end"
    )
