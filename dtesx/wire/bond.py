"""One stream over any number of connections, which may come and go: a blocking face for one thread.

Frames go to whichever connection takes them; what a lost connection carried goes over another. A
send that has to wait reads what arrives meanwhile, so two ends that both send never block each other.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from dtesx.base.errors import ConnectionFailed, from_code
from dtesx.base.memory import keep_freed_memory
from dtesx.wire import messages
from dtesx.wire.channel import TICK
from dtesx.wire.compression import Compressor
from dtesx.wire.connection import Connection
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import CONNECTION_TYPES, Encoded, Frame, encode
from dtesx.wire.limiter import Limiter
from dtesx.wire.messages import Acknowledgement, Failure, Message
from dtesx.wire.parts import Content, FilePart
from dtesx.wire.stream import Incoming, Outgoing, Retention

_UNTOLD = 4
"""So often something is acknowledged before the peer is told although more can be done."""


class Bond:
    """Both directions of a stream. ``tick`` is called while waiting and may raise.

    ``queue`` limits the bytes sent that are not on the peer's disk yet; 0 where the peer asks for all
    that is sent. Frames may be added as long as ``retention`` has room for them, without it as fast
    as connections take them; while ``held`` is set, none begins to travel. Losing a connection raises
    nothing: who owns the bond looks at ``slots`` and attaches another. Every method raises the error
    of a Failure frame and ProtocolError.
    """

    def __init__(
        self,
        *,
        tick: Callable[[], None],
        queue: int = 0,
        retention: Retention | None = None,
        compressor: Compressor | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        keep_freed_memory()
        self.outgoing = Outgoing(retention, queue)
        self.incoming = Incoming()
        self.slots: dict[int, Connection] = {}
        self.lost: dict[int, ConnectionFailed] = {}
        self._tick = tick
        self.held = False
        self._ahead = retention is not None
        self._compressor = compressor
        self._limiter = limiter or Limiter(0)
        self._acknowledged = (0, 0)
        self._untold = 0  # acknowledgements that the peer does not know of
        self._gone = 0
        self._turn = 0
        self._full: set[int] = set()  # slots that took nothing more, and
        self._dry: set[int] = set()  # those with nothing to read, as far as poll(2) has told since
        self._watched: dict[int, tuple[int, int]] = {}
        self._poll = select.poll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._waking = threading.Lock()
        self._poll.register(self._wake, select.POLLIN)

    @property
    def wire_bytes(self) -> int:
        """Bytes sent and received, before TLS."""
        return self._gone + sum(c.sent + c.received for c in self.slots.values())

    def attach(self, slot: int, connection: Connection, received: int) -> None:
        """Add a connection, or put it in the place of an earlier one, as the peer does.

        ``received`` is what the peer said in its greeting.
        """
        if slot in self.slots:
            self._detach(slot)
        if not self.slots:
            self.outgoing.resume(received)
        connection.begin()
        connection.limiter = self._limiter
        self.slots[slot] = connection
        self._watch(slot, connection)
        self._untold = int(self._acknowledged != (0, 0))
        self.wake()  # attached by a tick, it has to end the wait that follows

    def send(self, message: Message, blob: Sequence[Content] = ()) -> None:
        """Add a message to the stream; returns when another may be added."""
        self._put(message, blob)
        self._flush()
        if not self.incoming.ready:
            self._pull()
        while self._occupied and not self._ahead:
            self.step(TICK)

    def move(self) -> None:
        """Send and receive what can be without waiting; for work that runs ahead of its frames."""
        if self.outgoing.waiting and not self.held:
            self._look(0)
            self._flush()
            self._take()

    def travel(self) -> None:
        """Return when every part of a file that was sent has been read; again only if it is sent again."""
        while not self._ahead and (self.outgoing.waiting or any(c.busy for c in self.slots.values())):
            self.step(TICK)

    def _put(self, message: Message, blob: Sequence[Content] = ()) -> None:
        if self._ahead:
            blob = [bytes(piece) if isinstance(piece, FilePart) else piece for piece in blob]
        kind, table = messages.encode(message)
        frame, weight = encode(kind, self.outgoing.last + 1, table, blob, compressor=self._compressor)
        while not self.outgoing.put(frame, weight):
            self.step(TICK)

    @property
    def _occupied(self) -> bool:
        return self.outgoing.waiting or all(connection.busy for connection in self.slots.values())

    def poll(self, wait: float = 0.0) -> Frame | None:
        """The stream's next frame if it is there, or arrives within ``wait`` seconds (at most one tick)."""
        if self._untold >= _UNTOLD:
            self._flush()
        if not self.incoming.ready:
            self._pull()
        if not self.incoming.ready:
            if self._untold:
                self._flush()
            if wait:
                self.step(wait)
        return self.incoming.take()

    def receive(self) -> Frame:
        """The stream's next frame, waiting for it as long as ``tick`` lets us."""
        while (frame := self.poll(TICK)) is None:
            pass
        return frame

    def acknowledge(self, applied: int, durable: int) -> None:
        """Tell the peer, soon, which of its frames were applied and which are on disk."""
        if (applied, durable) != self._acknowledged:
            self._acknowledged = (applied, durable)
            self._untold += 1

    def step(self, seconds: float) -> None:
        """Send and receive what can be, waiting at most so long (and one tick) for something to do.

        To be called during long work or waiting: a peer that is not read for 40 s is taken for dead.
        """
        self._tick()
        self._flush()
        if self._take():
            return
        waiting = self.outgoing.waiting and not self.held
        if self._limiter.rate and (waiting or any(c.busy for c in self.slots.values())):
            seconds = min(seconds, self._limiter.pause())
        self._look(min(seconds, TICK))
        self._flush()
        self._take()

    def _look(self, seconds: float) -> None:
        """Wait until a connection takes something, or has something to read."""
        for slot, connection in self.slots.items():
            self._watch(slot, connection)
        for fd, events in self._poll.poll(1000 * seconds):
            if fd == self._wake:
                os.eventfd_read(self._wake)
                continue
            slot = self._watched[fd][0]
            if events & ~select.POLLIN:
                self._full.discard(slot)
            if events & ~select.POLLOUT:
                self._dry.discard(slot)

    def _watch(self, slot: int, connection: Connection) -> None:
        fd, watched = connection.fileno(), (slot, connection.events)
        if self._watched.get(fd) != watched:
            self._watched[fd] = watched
            self._poll.register(fd, watched[1])

    def wake(self) -> None:
        """End a wait; from any thread."""
        with self._waking:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def _flush(self) -> None:
        order = sorted(self.slots)
        self._turn += 1
        for index in range(len(order)):
            slot = order[(index + self._turn) % len(order)]
            if slot in self._full:
                continue
            connection = self.slots[slot]
            connection.pace(self._limiter.flow, self._limiter.piece(len(order)))
            if self._untold and not connection.owing:  # the next one says more
                connection.queue(Acknowledgement(*self._acknowledged))
                self._untold = 0
            try:
                connection.write(lambda slot=slot: self._next(slot))  # type: ignore[misc]
            except ConnectionFailed as error:
                self._drain(slot, error)
            else:
                if connection.events & select.POLLOUT:
                    self._full.add(slot)

    def _next(self, slot: int) -> Encoded | None:
        return None if self.held else self.outgoing.take(slot)

    def _drain(self, slot: int, error: ConnectionFailed) -> None:
        """A connection takes nothing more; the peer may have said why before it closed."""
        connection = self.slots[slot]
        try:
            while (frame := connection.read()) is not None:
                self._arrived(frame)
        except ConnectionFailed:
            pass  # the first error says it better
        self._detach(slot, error)

    def _pull(self) -> None:
        """Take in what has arrived, up to the next frame in order."""
        if len(self._dry) == len(self.slots):
            self._look(0)
        self._take()

    def _take(self) -> bool:
        """Take in what is known to have arrived; whether there was any."""
        some = False
        for slot, connection in list(self.slots.items()):
            if slot in self._dry:
                continue
            try:
                while (frame := connection.read()) is not None:
                    some = True
                    self._arrived(frame)
                    if self.incoming.ready:
                        return True
            except ConnectionFailed as error:
                self._detach(slot, error)
            else:
                self._dry.add(slot)
        return some

    def _arrived(self, frame: Frame) -> None:
        if frame.type not in CONNECTION_TYPES:
            self.incoming.accept(frame)
            return
        message = messages.decode(frame)
        if isinstance(message, Acknowledgement):
            self.outgoing.acknowledge(message.applied, message.durable)
        elif isinstance(message, Failure):
            raise from_code(message.code, message.message, message.hint)
        else:
            raise ProtocolError(f"{type(message).__name__} arrived in an open session")

    def _detach(self, slot: int, error: ConnectionFailed | None = None) -> None:
        connection = self.slots.pop(slot)
        self._gone += connection.sent + connection.received
        self._full.discard(slot)
        self._dry.discard(slot)
        del self._watched[connection.fileno()]
        self._poll.unregister(connection)
        connection.close()
        self.outgoing.lost(slot)
        if error is not None:
            self.lost[slot] = error

    def finish(self, message: Message, seconds: float) -> None:
        """Send the stream's last message, upon which the peer closes the connections."""
        self.held = False
        self._put(message)
        deadline = time.monotonic() + seconds
        while self.slots and time.monotonic() < deadline:
            self.step(TICK)

    def part(self, message: Message, seconds: float) -> None:
        """Say why we go, on every connection, and see that the peer can still read it."""
        for connection in self.slots.values():
            connection.queue(message)
        for connection in self.slots.values():
            with suppress(ConnectionFailed):  # whoever hears nothing calls again
                connection.linger(seconds)

    def close(self) -> None:
        """Close all connections at once."""
        for slot in list(self.slots):
            self._detach(slot)
        with self._waking:
            os.close(self._wake)
            self._wake = -1
