"""Sums of file content: BLAKE3, cut to 128 bits, of the blocks of a file and of the pieces of a block."""

from __future__ import annotations

import os

from blake3 import blake3

BLOCK = 64 << 10
"""Bytes of a block: what is compared first."""

PIECE = 4 << 10
"""Bytes of a piece of a block: what is compared where blocks differ."""

SEGMENT = 8 << 20
"""At most so many bytes are compared with one request."""

STEP = 512 << 10
"""Bytes that are read at once."""

SUM = 16
"""Bytes of a sum."""

Content = bytes | bytearray | memoryview


def sum_of(data: Content) -> bytes:
    """The sum of some content."""
    return blake3(data).digest(length=SUM)


def sums_of(data: Content, step: int) -> bytes:
    """The sums of ``data`` cut at every ``step`` bytes, in one row; the last part may be shorter."""
    view = memoryview(data)
    return b"".join([blake3(view[at : at + step]).digest(length=SUM) for at in range(0, len(view), step)])


def count_of(length: int, step: int) -> int:
    """How many sums ``sums_of`` makes of ``length`` bytes."""
    return -(-length // step)


class Reader:
    """Reads parts of files into one buffer, which every call uses again.

    It is so small that what was read is still in the processor's cache when it is summed up.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(STEP))

    def sums(self, fd: int, offset: int, length: int) -> tuple[int, bytes]:
        """How many of ``length`` bytes a file has at ``offset``, and the sums of their blocks."""
        found, sums = 0, []
        while found < length and (data := self.read(fd, offset + found, length - found)):
            sums.append(sums_of(data, BLOCK))
            found += len(data)
        return found, b"".join(sums)

    def read(self, fd: int, offset: int, length: int) -> memoryview:
        """``length`` bytes (at most STEP) at ``offset``; less where the file ends."""
        length = min(length, STEP)
        filled = 0
        while filled < length:
            count = os.preadv(fd, [self._buffer[filled:length]], offset + filled)
            if not count:
                break
            filled += count
        return self._buffer[:filled]
