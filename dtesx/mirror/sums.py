"""Sums of file content, 128 bits each: of whole small files, of blocks of large ones and of their pieces."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, partial

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
    """The sum of some content: BLAKE3, cut."""
    return blake3(data).digest(length=SUM)


class Summer:
    """Sums of parts of files that only the two ends of one stream compare.

    Both derive the same key from a ``secret`` that nobody knows before: so a sum need not stand up to
    someone who looks for two contents with the same one, and AES-GMAC (NIST SP 800-38D), whose tags of
    different content are equal with a chance of 2^-116 then, is three times as fast as BLAKE3.
    """

    def __init__(self, secret: bytes) -> None:
        key = blake3(secret, derive_key_context="dtesx sums of parts of files").digest(length=16)
        self._key = key

    @cached_property
    def _sum(self) -> Callable[[Content], bytes]:
        # Most mirrors compare no file, and loading this takes a third of their start.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return partial(AESGCM(self._key).encrypt, bytes(12), b"")

    def sums(self, data: Content, step: int) -> bytes:
        """The sums of ``data`` cut at every ``step`` bytes, in one row; the last part may be shorter."""
        view, sum_of_part = memoryview(data), self._sum
        return b"".join([sum_of_part(view[at : at + step]) for at in range(0, len(view), step)])


def count_of(length: int, step: int) -> int:
    """How many sums there are of ``length`` bytes."""
    return -(-length // step)


class Reader:
    """Reads parts of files into one buffer, which every call uses again.

    It is so small that what was read is still in the processor's cache when it is summed up.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(STEP))

    def sums(self, fd: int, offset: int, length: int, summer: Summer) -> tuple[int, bytes]:
        """How many of ``length`` bytes a file has at ``offset``, and the sums of their blocks."""
        found, sums = 0, []
        while found < length and (data := self.read(fd, offset + found, length - found)):
            sums.append(summer.sums(data, BLOCK))
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
