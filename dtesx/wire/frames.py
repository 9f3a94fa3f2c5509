"""Frames: a fixed header, a msgpack table, a blob. Sans-I/O; lengths are checked before memory is taken."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from dtesx import batch
from dtesx.wire import compression
from dtesx.wire.compression import Compressor
from dtesx.wire.errors import ProtocolError
from dtesx.wire.parts import Content, FilePart
from dtesx.wire.piping import Blob, Piped, Pipes

MAGIC = b"DTSX"
MAX_TABLE = 4 << 20
MAX_BLOB = 8 << 20

MAX_GREETING = 256 << 10
"""Bytes of a frame before a stream begins: whoever calls may send one."""

_OBJECTS = 512  # about what a frame without content takes in memory

Encoded = tuple[Content, ...]
"""A frame's bytes, in parts that travel one after the other."""

_HEADER = struct.Struct("!4sBBHQIII")
HEADER_SIZE = _HEADER.size

_PART = 64 << 10


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
    REPORT = 12
    GOODBYE = 13
    KNOCK = 14
    CHALLENGE = 15
    PAUSED = 20
    RESUMED = 21
    SUMS_REQUEST = 30
    SUMS = 31
    PAIR = 35
    PAIRED = 36
    ASK = 25
    ANSWER = 26
    REPLICAS = 37
    BIND = 38
    EPOCH_BEGIN = 40
    EPOCH_END = 41
    EPOCH_APPLIED = 42
    EPOCH_KEPT = 43
    TASK_ENDED = 44


CONNECTION_TYPES = frozenset(
    {
        FrameType.HELLO,
        FrameType.WELCOME,
        FrameType.REFUSAL,
        FrameType.ACKNOWLEDGEMENT,
        FrameType.FAILURE,
        FrameType.KNOCK,
        FrameType.CHALLENGE,
        FrameType.PAIR,
        FrameType.PAIRED,
    }
)
"""Frames that belong to their connection, not to the stream: their sequence is 0."""

_TYPES = {int(kind): kind for kind in FrameType}
_COMPRESSED = 1
_OF_ONE_FILE = 2  # the blob: it may go there without a way through memory


class Frame(msgspec.Struct, frozen=True, eq=False):
    """A received frame. ``table`` is msgpack, ``blob`` raw content."""

    type: FrameType
    sequence: int
    table: memoryview
    blob: Blob

    @property
    def size(self) -> int:
        """What the frame weighs: bytes in memory before compression."""
        return weigh(len(self.table) + len(self.blob))


def weigh(length: int) -> int:
    """What a frame with ``length`` bytes of content weighs at the peer, as both ends count it."""
    return _OBJECTS + HEADER_SIZE + length


def encode(
    kind: FrameType,
    sequence: int,
    table: bytes,
    blob: Sequence[Content] = (),
    *,
    compressor: Compressor | None = None,
) -> tuple[Encoded, int]:
    """A frame's bytes, and its weight.

    One large piece of content is not copied, so that it must not change any more. Raises ValueError
    when the frame is larger than a peer would accept.
    """
    length = sum(map(len, blob))
    if len(table) > MAX_TABLE or length > MAX_BLOB:
        raise ValueError(f"frame too large: table of {len(table)} bytes, blob of {length}")
    size = len(table) + length
    if compressor is not None:
        packed = compressor.pack((table, *blob))
        if packed is not None:
            header = _HEADER.pack(MAGIC, kind, _COMPRESSED, 0, sequence, len(table), length, len(packed))
            return (header + packed,), weigh(size)
    straight = len(blob) == 1 and isinstance(blob[0], FilePart) and blob[0].straight
    flags = _OF_ONE_FILE if straight else 0
    header = _HEADER.pack(MAGIC, kind, flags, 0, sequence, len(table), length, size)
    return _parts((header, table, *blob)), weigh(size)


def _parts(pieces: Sequence[Content]) -> Encoded:
    """The same bytes in fewer pieces: only small ones are copied to be joined."""
    parts: list[Content] = []
    small: list[bytes | memoryview] = []
    for piece in pieces:
        if not isinstance(piece, FilePart) and len(piece) < _PART:
            small.append(piece)
            continue
        if small:
            parts.append(b"".join(small))
            small = []
        if len(piece):
            parts.append(piece)
    if small:
        parts.append(b"".join(small))
    return tuple(parts)


class _Header(msgspec.Struct, frozen=True, eq=False):
    type: FrameType
    compressed: bool
    of_one_file: bool
    sequence: int
    table: int
    blob: int
    body: int


class Decoder:
    """Turns received bytes into frames without copying: fill ``buffer()``, then tell ``advance()``.

    With ``pipes``, content of one file goes there: while ``piped`` is set, that is to be filled instead
    of the buffer. Memory is bounded by one header plus twice the largest allowed frame, which is a small
    one of the connection's own until ``greeted``. Raises ProtocolError on anything else than a frame.
    """

    def __init__(self, pipes: Pipes | None = None) -> None:
        self.greeted = False
        self.piped: Piped | None = None
        self._pipes = pipes
        self._start = bytearray(HEADER_SIZE)
        self._header: _Header | None = None
        self._body = self._start
        self._target = memoryview(self._start)
        self._filled = 0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return self._header is not None or self._filled > 0

    def buffer(self) -> memoryview:
        """Where the next received bytes belong; never empty."""
        return self._target[self._filled :]

    def advance(self, count: int) -> Frame | None:
        """Say that ``count`` bytes were put into ``buffer()``; returns a frame when one is complete."""
        self._filled += count
        if self._filled < (len(self._target) if self.piped is None else len(self.piped)):
            return None
        if self._header is None:
            self._header = header = _read_header(self._start)
            if not self.greeted:
                _check_greeting(header)
            apart = self._pipes is not None and header.of_one_file
            self._body = _room(header.table if apart else header.body)
            self._target, self._filled = memoryview(self._body), 0
            if self._body:
                return None
        if self.piped is None and len(self._body) < self._header.body and self._pipes is not None:
            self.piped, self._filled = Piped(self._pipes, self._header.blob), 0
            return None
        return self._finish(self._header)

    def _finish(self, header: _Header) -> Frame:
        if header.compressed:
            view = memoryview(compression.unpack(self._body, header.table + header.blob))
        else:
            view = memoryview(self._body)
        blob, self.piped = self.piped or view[header.table :], None
        self._header, self._body = None, self._start
        self._target, self._filled = memoryview(self._start), 0
        return Frame(header.type, header.sequence, view[: header.table], blob)


def _room(size: int) -> bytearray:
    """A buffer whose content does not matter yet."""
    return bytearray(size) if batch.native is None else batch.native.room(size)


def _read_header(data: bytearray) -> _Header:
    magic, kind, flags, reserved, sequence, table, blob, body = _HEADER.unpack(data)
    if magic != MAGIC:
        raise ProtocolError("the peer does not speak the dtesx protocol")
    if kind not in _TYPES or flags not in (0, _COMPRESSED, _OF_ONE_FILE) or reserved:
        raise ProtocolError(f"unknown frame: type {kind}, flags {flags}")
    if (kind in CONNECTION_TYPES) != (sequence == 0):
        raise ProtocolError(f"{_TYPES[kind].name} frame with sequence {sequence}")
    if table > MAX_TABLE or blob > MAX_BLOB:
        raise ProtocolError(f"frame too large: table of {table} bytes, blob of {blob}")
    if body > table + blob or (body < table + blob and flags != _COMPRESSED):
        raise ProtocolError(f"frame of {body} bytes with a table of {table} and a blob of {blob}")
    return _Header(
        *(_TYPES[kind], flags == _COMPRESSED, flags == _OF_ONE_FILE and blob > 0, sequence, table, blob, body)
    )


def _check_greeting(header: _Header) -> None:
    if header.type not in CONNECTION_TYPES:
        raise ProtocolError(f"{header.type.name} frame before the stream began")
    if header.table + header.blob > MAX_GREETING:
        raise ProtocolError(f"frame too large for a greeting: {header.table + header.blob} bytes")
