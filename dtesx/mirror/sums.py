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
    """Reads pieces of files into one buffer, which every call uses again."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(SEGMENT))

    def read(self, fd: int, offset: int, length: int) -> memoryview:
        """Up to ``length`` bytes (at most SEGMENT) at ``offset``; less where the file ends."""
        filled = 0
        while filled < length:
            count = os.preadv(fd, [self._buffer[filled:length]], offset + filled)
            if not count:
                break
            filled += count
        return self._buffer[:filled]
