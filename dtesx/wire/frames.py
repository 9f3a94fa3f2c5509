"""Frames: a fixed header, a msgpack table, a blob. Sans-I/O; lengths are checked before memory is taken."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from dtesx.wire.errors import ProtocolError

MAGIC = b"DTSX"
MAX_TABLE = 4 << 20
MAX_BLOB = 8 << 20

_HEADER = struct.Struct("!4sBBHQII")
HEADER_SIZE = _HEADER.size


class FrameType(IntEnum):
    """What a frame carries; the numbers are the wire's and never change meaning."""

    HELLO = 1
    WELCOME = 2
    REFUSAL = 3
    LIST = 4
    CREDIT = 5
    LISTING = 6
    OPERATIONS = 7
    ACKNOWLEDGEMENT = 8
    COMMIT = 9
    COMMITTED = 10
    FAILURE = 11
    PAUSED = 20
    SUMS_REQUEST = 30
    SUMS = 31
    PAIR = 35
    PAIRED = 36


_TYPES = {int(kind): kind for kind in FrameType}


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame. ``table`` is msgpack, ``blob`` raw content; both are views of one buffer."""

    type: FrameType
    sequence: int
    table: memoryview
    blob: memoryview

    @property
    def size(self) -> int:
        """Bytes on the wire, header included."""
        return HEADER_SIZE + len(self.table) + len(self.blob)


class Encoder:
    """Numbers frames from 1 and turns them into bytes."""

    def __init__(self) -> None:
        self.sequence = 0

    def encode(self, kind: FrameType, table: bytes, blob: Sequence[bytes | memoryview] = ()) -> bytes:
        """Encode the next frame; raises ValueError when it is larger than a peer would accept."""
        length = sum(map(len, blob))
        if len(table) > MAX_TABLE or length > MAX_BLOB:
            raise ValueError(f"frame too large: table of {len(table)} bytes, blob of {length}")
        self.sequence += 1
        return b"".join((_HEADER.pack(MAGIC, kind, 0, 0, self.sequence, len(table), length), table, *blob))


class Decoder:
    """Turns received bytes into frames without copying: fill ``buffer()``, then tell ``advance()``.

    Memory is bounded by one header plus the largest allowed frame. Raises ProtocolError on
    anything else than the next frame of the sequence.
    """

    def __init__(self) -> None:
        self._expected = 1
        self._header = bytearray(HEADER_SIZE)
        self._body = bytearray()
        self._fields: tuple[FrameType, int, int] | None = None
        self._target = memoryview(self._header)
        self._filled = 0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return self._fields is not None or self._filled > 0

    def buffer(self) -> memoryview:
        """Where the next received bytes belong; never empty."""
        return self._target[self._filled :]

    def advance(self, count: int) -> Frame | None:
        """Say that ``count`` bytes were put into ``buffer()``; returns a frame when one is complete."""
        self._filled += count
        if self._filled < len(self._target):
            return None
        if self._fields is None:
            self._fields = self._read_header()
            length = self._fields[1] + self._fields[2]
            self._body = bytearray(length)
            self._target, self._filled = memoryview(self._body), 0
            if length:
                return None
        return self._finish()

    def _read_header(self) -> tuple[FrameType, int, int]:
        magic, kind, flags, reserved, sequence, table, blob = _HEADER.unpack(self._header)
        if magic != MAGIC:
            raise ProtocolError("the peer does not speak the dtesx protocol")
        if kind not in _TYPES or flags or reserved:
            raise ProtocolError(f"unknown frame: type {kind}, flags {flags}")
        if sequence != self._expected:
            raise ProtocolError(f"frame {sequence} arrived where {self._expected} was due")
        if table > MAX_TABLE or blob > MAX_BLOB:
            raise ProtocolError(f"frame too large: table of {table} bytes, blob of {blob}")
        return _TYPES[kind], table, blob

    def _finish(self) -> Frame:
        assert self._fields is not None
        kind, table, _ = self._fields
        body = memoryview(self._body)
        frame = Frame(kind, self._expected, body[:table], body[table:])
        self._expected += 1
        self._fields, self._body = None, bytearray()
        self._target, self._filled = memoryview(self._header), 0
        return frame
