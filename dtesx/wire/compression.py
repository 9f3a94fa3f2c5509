"""Compressing frames with zstd, where it pays; decompressing within known bounds."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

from dtesx.model.mirror import Compression
from dtesx.wire.errors import ProtocolError
from dtesx.wire.parts import Content, cut

_WORTH = 0.9  # compressed frames must be smaller than this share of what they were
_SAMPLE = 16 << 10
_SMALL = 256
_MAX_BACK_OFF = 64


def unpack(body: bytearray, length: int) -> bytes:
    """Decompress a frame's body to exactly ``length`` bytes; ProtocolError when it is anything else."""
    try:
        if zstandard.frame_content_size(body) != length:
            raise ProtocolError("a compressed frame is not as long as it says")
        return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ProtocolError(f"a compressed frame is damaged: {error}") from error


class Compressor:
    """Compresses the bodies of a stream's frames, or finds that it does not pay.

    ``auto`` tries a sample of each frame first. While frames do not shrink, it looks at fewer and
    fewer of them, at least at one in 64. Of parts of files no more is read than it looks at.
    """

    def __init__(self, how: Compression) -> None:
        self._auto = how.auto
        self._zstd = zstandard.ZstdCompressor(level=how.level) if how else None
        self._skip = self._back_off = 0

    def pack(self, pieces: Sequence[Content]) -> bytes | None:
        """The compressed body of a frame of ``pieces``; None when it is to travel as it is."""
        length = sum(map(len, pieces))
        if self._zstd is None or length < _SMALL:
            return None
        if self._auto and self._hopeless(self._zstd, pieces, length):
            return None
        packed = self._zstd.compress(b"".join(map(bytes, pieces)))
        return packed if len(packed) < _WORTH * length else None

    def _hopeless(self, zstd: zstandard.ZstdCompressor, pieces: Sequence[Content], length: int) -> bool:
        if self._skip:
            self._skip -= 1
            return True
        sample = _sample(pieces, length)
        if len(zstd.compress(sample)) < _WORTH * len(sample):
            self._back_off = 0
            return False
        self._back_off = min(_MAX_BACK_OFF, 2 * self._back_off + 1)
        self._skip = self._back_off
        return True


def _sample(pieces: Sequence[Content], length: int) -> bytes:
    """Begin, middle and end of what the pieces are together; all of it when that is little more."""
    starts = (0, length // 2, length - _SAMPLE)
    wanted = [(at, at + _SAMPLE) for at in starts] if length > 4 * _SAMPLE else [(0, length)]
    return b"".join(_between(pieces, begin, end) for begin, end in wanted)


def _between(pieces: Sequence[Content], begin: int, end: int) -> bytes:
    found = []
    for piece in pieces:
        if begin < len(piece) and end > 0:
            found.append(cut(piece, max(begin, 0), min(end, len(piece))))
        begin, end = begin - len(piece), end - len(piece)
    return b"".join(found)
