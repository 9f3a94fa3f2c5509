"""Parts of files cut where their content says (FastCDC): inserted bytes do not move the other cuts."""

from __future__ import annotations

import os

from pyfastcdc import FastCDC

from dtesx.mirror.sums import SEGMENT, SUM, Summer

_AVERAGE = 16 << 10
_LEAST, LONGEST = _AVERAGE // 2, 4 * _AVERAGE


class Cutter:
    """Reads parts of files into one buffer, which every call uses again, and cuts them into chunks."""

    def __init__(self, summer: Summer) -> None:
        self._summer = summer
        self._buffer = memoryview(bytearray(SEGMENT))
        self._cut = FastCDC(avg_size=_AVERAGE, min_size=_LEAST, max_size=LONGEST).cut_buf

    def read(self, fd: int, offset: int, length: int) -> memoryview:
        """``length`` bytes (at most SEGMENT) at ``offset``; less where the file ends."""
        length, filled = min(length, SEGMENT), 0
        while filled < length and (count := os.preadv(fd, [self._buffer[filled:length]], offset + filled)):
            filled += count
        return self._buffer[:filled]

    def lengths(self, data: memoryview) -> list[int]:
        """How long the chunks of ``data`` are. The last one may end only because the data do."""
        return [chunk.length for chunk in self._cut(data)]

    def sums(self, data: memoryview, lengths: list[int]) -> list[bytes]:
        """The sums of chunks that lie one after the other in ``data``."""
        sums, at = [], 0
        for length in lengths:
            sums.append(self._summer.sums(data[at : at + length], length))
            at += length
        return sums


def split(sums: bytes) -> list[bytes]:
    """Sums in one row, one by one."""
    return [sums[at : at + SUM] for at in range(0, len(sums), SUM)]
