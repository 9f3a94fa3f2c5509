"""Writes of one file that wait together: adjacent ones are joined, of overlapping ones the last wins."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Piece = bytes | memoryview


class Extents:
    """Pending writes of one file, without copying: ``runs()`` is what remains to be written."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[Piece] = []
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._starts)

    def write(self, offset: int, data: Piece) -> None:
        """Add a write; it covers what earlier ones put there."""
        if not data:
            return
        end = offset + len(data)
        first = bisect_right(self._starts, offset)
        if first and self._starts[first - 1] + len(self._pieces[first - 1]) > offset:
            first -= 1
        last = bisect_left(self._starts, end)
        kept: list[tuple[int, Piece]] = []
        for start, piece in zip(self._starts[first:last], self._pieces[first:last], strict=True):
            if start < offset:
                kept.append((start, memoryview(piece)[: offset - start]))
            if start + len(piece) > end:
                kept.append((end, memoryview(piece)[end - start :]))
            self.size -= len(piece)
        kept.append((offset, data))
        kept.sort(key=lambda extent: extent[0])
        self._starts[first:last] = [start for start, _ in kept]
        self._pieces[first:last] = [piece for _, piece in kept]
        self.size += sum(len(piece) for _, piece in kept)

    def runs(self) -> Iterator[tuple[int, int, list[Piece]]]:
        """Each stretch without a gap, in order: its offset, its length, its pieces."""
        offset, length, pieces = 0, 0, list[Piece]()
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if pieces and offset + length == start:
                length += len(piece)
                pieces.append(piece)
                continue
            if pieces:
                yield offset, length, pieces
            offset, length, pieces = start, len(piece), [piece]
        if pieces:
            yield offset, length, pieces
