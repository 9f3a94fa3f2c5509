"""Where content is in the target's file after bytes were inserted before it, removed or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dtesx.mirror.chunks import LONGEST, Cutter, split
from dtesx.mirror.delta import Segment
from dtesx.mirror.sums import SEGMENT, SUM
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Basis, Sums

WIDTHS = (128 << 10, 1 << 20, 8 << 20, 64 << 20)
"""So many bytes are looked through for a place where both files are the same again, one after the other,
but not more than 32 times what is known to be somewhere else, if anywhere."""

GIVE_UP = 4
"""After so many searches without any success nothing is looked for any more."""

# What is cut overlaps: a part is cut at its ends for no other reason than that it ends.
_OVERLAP = 4 * LONGEST

Ask = Callable[[Segment], Callable[[], Sums]]
"""Asks for the chunks of a part of the target's file; what it returns waits for the answer."""


class Changed(Exception):
    """The target's file is not any more what it was."""


@dataclass(slots=True)
class Alignment:
    """How far apart the same content is: the target's file has it ``shift`` bytes further on.

    ``found`` is where in the target's file it was found last. Nothing is looked for before the place
    ``not_before`` of the source's file, for that would lead nowhere.
    """

    shift: int = 0
    found: int = 0
    not_before: int = 0
    failures: int = 0

    def hopeful(self, place: int) -> bool:
        """Whether to look for where the content from ``place`` on is."""
        return place >= self.not_before and self.failures < GIVE_UP


class Search:
    """Looks for content of the source's file ``fd``, ``size`` bytes long, in the target's (``basis``).

    ``pause`` is called now and then and may raise. Raises Changed, OSError, and ProtocolError.
    """

    def __init__(
        self, fd: int, size: int, basis: Basis, *, ask: Ask, cutter: Cutter, pause: Callable[[], None]
    ) -> None:
        self._fd = fd
        self._size = size
        self._basis = basis
        self._ask = ask
        self._cutter = cutter
        self._pause = pause

    def realign(self, alignment: Alignment, place: int, lost: int) -> bool:
        """Find another shift for what comes from ``place`` on; whether there is one.

        Of that, ``lost`` bytes are not where they were.
        """
        widths = [width for width in WIDTHS if width <= max(WIDTHS[0], 32 * lost)]
        for width in widths:
            theirs = self._theirs(width, *sorted((alignment.found, place + alignment.shift)))
            end = min(place + width, self._size)
            for start, total in self._ours(place, end) if theirs else ():
                shift = theirs.get(total, start) - start
                if total in theirs and shift != alignment.shift:
                    alignment.shift, alignment.found, alignment.failures = shift, start + shift, 0
                    alignment.not_before = max(place, -shift) + 1
                    return True
        alignment.not_before = place + widths[-1]
        alignment.failures += 1
        return False

    def _theirs(self, width: int, first: int, last: int) -> dict[bytes, int]:
        """Where chunks begin that are only once around two places of the target's file, by their sums."""
        middle = max(min(first + width, self._basis.size), last - width)
        parts = [
            *_parts(max(0, first - width), min(first + width, middle)),
            *_parts(middle, min(last + width, self._basis.size)),
        ]
        asked = [(part, self._ask(part)) for part in parts]
        known: dict[bytes, int] = {}
        often = set()
        for part, answer in asked:
            for place, total in _chunks(part, answer(), self._basis):
                if known.setdefault(total, place) != place:
                    often.add(total)
        return {total: place for total, place in known.items() if total not in often}

    def _ours(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for part in _parts(start, end):
            self._pause()
            data = self._cutter.read(self._fd, part.offset, part.length)
            lengths = self._cutter.lengths(data)
            place = part.offset
            for length, total in zip(lengths, self._cutter.sums(data, lengths), strict=True):
                yield place, total
                place += length


def _parts(start: int, end: int) -> Iterator[Segment]:
    """A part of a file in overlapping pieces that can be cut at once."""
    while start < end:
        length = min(SEGMENT, end - start)
        yield Segment(start, length)
        start += length if start + length == end else length - _OVERLAP


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
