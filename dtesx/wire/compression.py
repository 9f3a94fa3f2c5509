"""Compressing frames with zstd, where it pays; decompressing within known bounds."""

from __future__ import annotations

import zstandard

from dtesx.model.mirror import Compression
from dtesx.wire.errors import ProtocolError

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
    fewer of them, at least at one in 64.
    """

    def __init__(self, how: Compression) -> None:
        self._auto = how.auto
        self._zstd = zstandard.ZstdCompressor(level=how.level) if how else None
        self._skip = self._back_off = 0

    def pack(self, body: bytes) -> bytes | None:
        """The compressed body; None when the frame is to travel as it is."""
        if self._zstd is None or len(body) < _SMALL:
            return None
        if self._auto and self._hopeless(self._zstd, body):
            return None
        packed = self._zstd.compress(body)
        return packed if len(packed) < _WORTH * len(body) else None

    def _hopeless(self, zstd: zstandard.ZstdCompressor, body: bytes) -> bool:
        if self._skip:
            self._skip -= 1
            return True
        sample = _sample(body)
        if len(zstd.compress(sample)) < _WORTH * len(sample):
            self._back_off = 0
            return False
        self._back_off = min(_MAX_BACK_OFF, 2 * self._back_off + 1)
        self._skip = self._back_off
        return True


def _sample(body: bytes) -> bytes:
    if len(body) <= 4 * _SAMPLE:
        return body
    middle = len(body) // 2
    return body[:_SAMPLE] + body[middle : middle + _SAMPLE] + body[-_SAMPLE:]
