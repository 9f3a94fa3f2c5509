"""Which parts of a file differ from the target's, purely: segments to ask for, runs out of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dtesx.mirror.sums import BLOCK, PIECE, SEGMENT, SUM, Summer, count_of
from dtesx.model.spans import Spans
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Sums

_TAIL = 4
_STILL = 0.05
_KEPT = 4 * PIECE


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the source's file that is compared at once: data (at most SEGMENT bytes) or a hole.

    It is compared with what is ``shift`` bytes further on in the target's file. ``told`` are the parts of
    it that are known to have been written, if it is that: they are sent, and nothing is compared.
    """

    offset: int
    length: int
    hole: bool = False
    shift: int = 0
    told: Spans = ()

    @property
    def there(self) -> int:
        """Where it begins in the target's file."""
        return self.offset + self.shift

    @property
    def parts(self) -> Spans:
        """What of it is sent when it is not compared."""
        return self.told or ((self.offset, self.offset + self.length),)

    @property
    def weight(self) -> int:
        """So many bytes of the source's file are read for it."""
        return 0 if self.hole else sum(end - start for start, end in self.parts)


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a segment: the target's has ``data`` to get, or None where it is right already."""

    offset: int
    length: int
    data: memoryview | None = None


def segments(
    extents: Iterable[tuple[int, int]],
    size: int,
    start: int = 0,
    *,
    shift: int = 0,
    most: Callable[[], int] = lambda: SEGMENT,
) -> Iterator[Segment]:
    """A file of ``size`` bytes in segments, from ``start`` on.

    ``extents`` are the (start, end) of its data there, in order; ``most`` is how long the next segment of
    data may be.
    """
    reached = start
    for begin, end in extents:
        if begin > reached:
            yield Segment(reached, begin - reached, hole=True, shift=shift)
        reached = begin
        while reached < end:
            length = min(most(), end - reached)
            yield Segment(reached, length, shift=shift)
            reached += length
    if reached < size:
        yield Segment(reached, size - reached, hole=True, shift=shift)


def pieces_of(spans: Iterable[tuple[int, int]], size: int, there: int) -> Iterator[tuple[int, int]]:
    """The pieces that ``spans`` touch of a file of ``size`` bytes, as (start, end).

    The first one is among them where nothing else is below ``there``, the size of the target's file:
    what is never compared is not known to be what it was.
    """
    wanted = [(start // PIECE * PIECE, min(size, -(-end // PIECE) * PIECE)) for start, end in spans]
    if all(start >= there for start, _ in wanted):
        wanted.insert(0, (0, min(PIECE, size)))
    reached = 0
    for start, end in wanted:
        if end > max(start, reached):
            yield max(start, reached), end
            reached = end


def check(segment: Segment, answer: Sums) -> None:
    """Raise ProtocolError when an answer does not fit the segment that it is about."""
    count = 1 if segment.hole else count_of(segment.length, BLOCK)
    known = -1
    for block in answer.differing:
        if not known < block < count:
            raise ProtocolError(f"the target compared a block {block} that it was not asked for")
        known = block
    wanted = 0 if segment.hole else sum(_fine_counts(segment, answer))
    if len(answer.fine) != wanted * SUM:
        raise ProtocolError(f"{len(answer.fine)} bytes of sums arrived where {wanted * SUM} were due")


def runs(segment: Segment, answer: Sums, read: Callable[[int, int], bytes], summer: Summer) -> Iterator[Run]:
    """A data segment as runs in order, out of a checked answer.

    ``read`` reads (offset, length) of the source's file, less where the file has shrunk since: the
    runs end there.
    """
    reached, end = segment.offset, segment.offset + segment.length
    at = 0
    for block, count in zip(answer.differing, _fine_counts(segment, answer), strict=True):
        offset = segment.offset + block * BLOCK
        length = min(BLOCK, end - offset)
        if offset > reached:
            yield Run(reached, offset - reached)
        data = read(offset, length)
        fine = answer.fine[at : at + count * SUM]
        at += count * SUM
        yield from _pieces(offset, memoryview(data), summer.sums(data, PIECE), fine)
        if len(data) < length:
            return
        reached = offset + length
    if reached < end:
        yield Run(reached, end - reached)


def ends_differing(segment: Segment, answer: Sums) -> bool:
    """Whether the last blocks of a data segment all differ."""
    count = count_of(segment.length, BLOCK)
    return answer.differing[-_TAIL:] == tuple(range(count - _TAIL, count))


def turning_point(segment: Segment, found: list[Run]) -> int:
    """Up to where a data segment is, more or less, what it was."""
    kept = (run.offset + run.length for run in found if run.data is None and run.length >= _KEPT)
    return max(kept, default=segment.offset)


def is_shifted(segment: Segment, found: list[Run]) -> bool:
    """Whether hardly a piece of the last blocks is where it was: they were moved, or written anew."""
    end = segment.offset + segment.length
    begin = end - min(segment.length, _TAIL * BLOCK)
    same = sum(
        run.offset + run.length - max(begin, run.offset)
        for run in found
        if run.data is None and run.offset + run.length > begin
    )
    return same <= _STILL * (end - begin)


def _fine_counts(segment: Segment, answer: Sums) -> Iterator[int]:
    there = answer.basis.size if answer.basis is not None else 0
    for block in answer.differing:
        start = segment.there + block * BLOCK
        end = min(start + BLOCK, segment.there + segment.length, there)
        yield count_of(max(0, end - start), PIECE)


def _pieces(offset: int, data: memoryview, ours: bytes, theirs: bytes) -> Iterator[Run]:
    """A differing block as runs of equal and of differing pieces, out of the sums of its pieces."""
    same = [ours[at : at + SUM] == theirs[at : at + SUM] for at in range(0, len(ours), SUM)]
    first, count = 0, len(same)
    while first < count:
        last = first + 1
        while last < count and same[last] is same[first]:
            last += 1
        part = data[first * PIECE : last * PIECE]
        yield Run(offset + first * PIECE, len(part), None if same[first] else part)
        first = last
