"""A stream of numbered frames that outlives its connections: both ends, sans-I/O.

Each direction of a stream counts its frames from 1. The sender keeps what is not acknowledged as
durable and sends it again when a connection is lost; the receiver puts frames into order, drops
what it has already, and hands each over once. A frame may travel over any connection.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Protocol

from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Encoded, Frame

WINDOW = 32 << 20
"""Bytes that may be on their way without having been applied."""

MAX_HELD = 2 * WINDOW
"""Bytes that a receiver holds at most: a window and the frame that closes it."""

_MAX_AHEAD = 1 << 16


class Retention(Protocol):
    """Where sent frames are kept until they are durable at the peer."""

    def put(self, number: int, frame: Encoded) -> bool:
        """Keep a frame; False while there is no room. Numbers come in order, without gaps."""

    def get(self, number: int) -> Encoded:
        """A kept frame."""

    def release(self, up_to: int) -> None:
        """Forget everything up to a number."""


class Memory:
    """Keeps any number of frames in memory."""

    def __init__(self) -> None:
        self._first = 1
        self._frames: deque[Encoded] = deque()

    def put(self, number: int, frame: Encoded) -> bool:
        assert number == self._first + len(self._frames)
        self._frames.append(frame)
        return True

    def get(self, number: int) -> Encoded:
        return self._frames[number - self._first]

    def release(self, up_to: int) -> None:
        while self._first <= up_to:
            self._frames.popleft()
            self._first += 1


class Outgoing:
    """What one end sends. ``slot`` names a connection.

    Of the bytes that were sent, ``in_flight`` were not applied yet, and ``unsettled`` are not durable
    yet, both before compression: it is what they weigh at the peer. With a ``limit``, nothing new is
    sent while more than that is unsettled or a WINDOW is in flight. ``sent`` is the highest frame that
    travelled.
    """

    def __init__(self, retention: Retention | None = None, limit: int = 0) -> None:
        self.last = 0
        self.sent = 0
        self.applied = 0
        self.durable = 0
        self.in_flight = 0
        self.unsettled = 0
        self._limit = limit
        self._retention = retention or Memory()
        self._weights: deque[int] = deque()  # of the frames after `durable`
        self._carriers: dict[int, int] = {}  # frame -> slot it is on its way over
        self._again: list[int] = []  # a heap

    @property
    def waiting(self) -> bool:
        """Whether a frame waits for a connection to take it."""
        return self.sent < self.last or bool(self._again)

    def put(self, frame: Encoded, weight: int) -> bool:
        """Add the frame with the number ``last + 1``; ``weight`` is its size before compression.

        False, and it is not added, while there is no room to keep it.
        """
        if not self._retention.put(self.last + 1, frame):
            return False
        self.last += 1
        self._weights.append(weight)
        return True

    @property
    def _too_far_ahead(self) -> bool:
        return bool(self._limit) and (self.in_flight > WINDOW or self.unsettled > self._limit)

    def take(self, slot: int) -> Encoded | None:
        """The next frame to send over a connection; None when there is nothing to send."""
        while self._again:
            number = heapq.heappop(self._again)
            if number > self.applied:
                break
        else:
            if self.sent == self.last or self._too_far_ahead:
                return None
            number = self.sent = self.sent + 1
            weight = self._weights[number - self.durable - 1]
            self.in_flight += weight
            self.unsettled += weight
        self._carriers[number] = slot
        return self._retention.get(number)

    def lost(self, slot: int) -> None:
        """A connection is gone: what it carried has to be sent again."""
        for number in [number for number, carrier in self._carriers.items() if carrier == slot]:
            del self._carriers[number]
            heapq.heappush(self._again, number)

    def resume(self, received: int) -> None:
        """The peer, to which no connection was left, has everything up to ``received``.

        What comes after it is sent again, also what an earlier life of the peer had applied but not
        made durable. Raises ProtocolError for what cannot be.
        """
        # The word of a greeting may be older than the last acknowledgement over another connection.
        received = max(received, self.durable)
        if received > self.sent:
            raise ProtocolError(f"the peer goes on from frame {received}, which cannot be")
        self._again = list(range(received + 1, self.sent + 1))
        self._carriers.clear()
        if received < self.applied:
            self.applied = received
            self.in_flight = sum(list(self._weights)[received - self.durable : self.sent - self.durable])

    def acknowledge(self, applied: int, durable: int) -> None:
        """The peer has applied and made durable so much; older news are ignored.

        Raises ProtocolError when it cannot have.
        """
        if not 0 <= durable <= applied <= self.sent:
            raise ProtocolError(
                f"frames up to {applied} and {durable} were acknowledged before they were sent"
            )
        while self.applied < applied:
            self.in_flight -= self._weights[self.applied - self.durable]
            self.applied += 1
            self._carriers.pop(self.applied, None)
        while self.durable < durable:
            self.durable += 1
            self.unsettled -= self._weights.popleft()
        self._retention.release(self.durable)


class Incoming:
    """What one end receives: frames in any order, handed over in theirs, each once.

    ``received`` is the highest frame with all before it.
    """

    def __init__(self) -> None:
        self.received = 0
        self._early: dict[int, Frame] = {}
        self._ready: deque[Frame] = deque()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of the frames that nobody took yet."""
        return self._held

    @property
    def ready(self) -> bool:
        """Whether the next frame is there."""
        return bool(self._ready)

    def accept(self, frame: Frame) -> None:
        """Add a frame that arrived; ProtocolError when the peer is too far ahead."""
        number = frame.sequence
        if number <= self.received or number in self._early:
            return
        if number > self.received + _MAX_AHEAD or self._held + frame.size > MAX_HELD:
            raise ProtocolError(f"frame {number} arrived, too far ahead of frame {self.received + 1}")
        self._held += frame.size
        self._early[number] = frame
        while (following := self._early.pop(self.received + 1, None)) is not None:
            self.received += 1
            self._ready.append(following)

    def take(self) -> Frame | None:
        """The next frame, or None while it is missing."""
        if not self._ready:
            return None
        frame = self._ready.popleft()
        self._held -= frame.size
        return frame
