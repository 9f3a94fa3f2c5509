"""Files into which bytes were inserted: what is known is copied from wherever the target's file has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from dtesx.mirror import content
from dtesx.mirror.chunks import LONGEST, Cutter, split
from dtesx.mirror.delta import Segment
from dtesx.mirror.patching import Patch
from dtesx.mirror.sums import SEGMENT, SUM
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Basis, Sums

LOOK = 8 * SEGMENT
"""So many bytes of the target's file are known before and behind the place where something was found last."""

GIVE_UP = 2 * LOOK
"""When so many bytes were looked for and nothing was found, nothing is looked for any more."""

_MOST = 1 << 18

# What is asked for overlaps: a part is cut at its ends for no other reason than that it ends.
_OVERLAP = 4 * LONGEST

Ask = Callable[[Segment], Callable[[], Sums]]
"""Asks for the chunks of a part of the target's file; what it returns waits for the answer."""


class Changed(Exception):
    """The target's file is not any more what it was."""


class Known:
    """Chunks of the target's file by their sums, so many at most; older ones are forgotten."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._starts: dict[bytes, int] = {}
        self._order: deque[tuple[int, bytes]] = deque()

    def add(self, start: int, total: bytes) -> None:
        """The target's file has a chunk with this sum at ``start``."""
        if total in self._starts:
            return
        self._starts[total] = start
        self._order.append((start, total))
        if len(self._order) > self._most:
            self._forget()

    def find(self, total: bytes) -> int | None:
        """Where a chunk is, if it is known."""
        return self._starts.get(total)

    def forget(self, before: int) -> None:
        """Forget the chunks that start before some place."""
        while self._order and self._order[0][0] < before:
            self._forget()

    def _forget(self) -> None:
        del self._starts[self._order.popleft()[1]]


class Shifting:
    """Sends one file, ``size`` bytes long, as copies out of the target's (``basis``) and new data.

    ``pause`` is called now and then and may raise.
    """

    def __init__(
        self,
        fd: int,
        size: int,
        basis: Basis,
        *,
        ask: Ask,
        cutter: Cutter,
        patch: Patch,
        pause: Callable[[], None],
    ) -> None:
        self._fd = fd
        self._size = size
        self._basis = basis
        self._ask = ask
        self._cutter = cutter
        self._patch = patch
        self._pause = pause
        self._known = Known()
        self._asked: deque[tuple[Segment, Callable[[], Sums]]] = deque()
        self._next = 0  # of the target's file, to ask for
        self._found = 0  # in the target's file: the end of what was found last
        self._missed = 0  # bytes since then
        self._hopeless = False

    def send(self) -> int:
        """Send it all; returns how far the file could be read. Raises OSError, and Changed."""
        reached = 0
        self._patch.begin(self._basis)
        for start, end in content.extents(self._fd, self._size):
            at = start
            while at < end:
                self._pause()
                self._learn()
                data = self._cutter.read(self._fd, at, end - at)
                if not data:
                    return reached
                at += self._part(at, data, last=at + len(data) == end)
                reached = at
        return reached

    def _part(self, offset: int, data: memoryview, *, last: bool) -> int:
        """Send a part; returns how much of it was dealt with."""
        if self._hopeless:
            self._new(offset, data)
            return len(data)
        lengths = self._cutter.lengths(data)
        if not last and len(lengths) > 1:
            lengths.pop()  # it goes on in the next part
        at = new = 0
        for length, total in zip(lengths, self._cutter.sums(data, lengths), strict=True):
            start = self._known.find(total)
            if start is not None:
                self._new(offset + new, data[new:at])
                self._patch.same(offset + at, length, start)
                self._found, self._missed = max(self._found, start + length), 0
                new = at + length
            at += length
        self._new(offset + new, data[new:at])
        self._missed += at - new
        self._hopeless = self._missed >= GIVE_UP and not self._found
        self._known.forget(self._found - LOOK)
        return at

    def _new(self, offset: int, data: memoryview) -> None:
        for at in range(0, len(data), content.CHUNK):
            piece = bytes(data[at : at + content.CHUNK])
            self._patch.data(self._basis, offset + at, piece)

    def _learn(self) -> None:
        """See that the target's file is known as far as it may be needed."""
        if self._hopeless:
            return
        wanted = self._found + self._missed + LOOK
        while self._next < min(self._basis.size, wanted + LOOK):
            segment = Segment(self._next, min(SEGMENT, self._basis.size - self._next))
            self._asked.append((segment, self._ask(segment)))
            end = segment.offset + segment.length
            self._next = end - _OVERLAP if end < self._basis.size else end
        while self._asked and self._asked[0][0].offset < wanted:
            segment, answer = self._asked.popleft()
            for start, total in _chunks(segment, answer(), self._basis):
                self._known.add(start, total)


def _chunks(segment: Segment, answer: Sums, basis: Basis) -> Iterator[tuple[int, bytes]]:
    """Start and sum of each chunk of an answer. Raises Changed, and ProtocolError for nonsense."""
    if answer.basis != basis:
        raise Changed
    lengths = answer.chunks
    if len(answer.fine) != SUM * len(lengths) or min(lengths, default=1) < 1 or sum(lengths) > segment.length:
        raise ProtocolError("the target told of impossible chunks of a file")
    start = segment.offset
    for length, total in zip(lengths, split(answer.fine), strict=True):
        yield start, total
        start += length
