"""Numbered entries in segment files: appended, read back, dropped from the front.

A segment begins with a header that names its stream. Each entry carries its number, length and
checksum, so after a crash everything up to the first entry that is not whole is good.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dtesx.replication.queue.errors import QueueDamaged, QueueFull
from dtesx.replication.queue.storage import Storage, segment_name

SEGMENT = 64 << 20
"""Bytes after which a segment is closed and another begun."""

_LONGEST = 16 << 20  # more than any frame
_HEADER = struct.Struct("!8s16s")
_ENTRY = struct.Struct("!QII")
_MAGIC = b"DTSXQ\0\0\1"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class _Segment:
    name: str
    first: int
    offsets: list[int] = field(default_factory=list)
    size: int = 0

    @property
    def last(self) -> int:
        return self.first + len(self.offsets) - 1


class Segments:
    """The disk queue of the stream ``stream`` (16 bytes). Entries of other streams are removed.

    Numbers are consecutive. ``used`` is the room taken, in bytes.
    """

    def __init__(self, storage: Storage, stream: bytes, *, segment: int = SEGMENT) -> None:
        self._storage = storage
        self._header = _HEADER.pack(_MAGIC, stream)
        self._limit = segment
        self._segments: deque[_Segment] = deque()
        self.used = 0
        with _damage("read"):
            self._recover()

    @property
    def held(self) -> range:
        """The numbers that are held."""
        if not self._segments:
            return range(0)
        return range(self._segments[0].first, self._segments[-1].last + 1)

    @staticmethod
    def weight(size: int) -> int:
        """The room that an entry of ``size`` bytes takes, at most."""
        return _HEADER.size + _ENTRY.size + size

    def append(self, number: int, data: bytes) -> None:
        """Add the next entry. Raises QueueFull (and has added nothing), or QueueDamaged."""
        if self.held and number != self.held.stop:
            raise ValueError(f"entry {number} does not follow {self.held.stop - 1}")
        record = _ENTRY.pack(number, len(data), _checksum(number, data)) + data
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.size >= self._limit:
            segment = _Segment(segment_name(number), number)
            record = self._header + record
        with _damage("written"):
            try:
                self._storage.append(segment.name, record)
            except OSError as error:
                self._undo(segment)
                if error.errno in _NO_ROOM:
                    raise _full(error) from error
                raise
        segment.offsets.append(segment.size or _HEADER.size)
        if not segment.size:
            self._segments.append(segment)
        segment.size += len(record)
        self.used += len(record)

    def read(self, number: int) -> bytes:
        """The entry ``number``. Raises KeyError when it is not held, QueueDamaged when it is not whole."""
        for segment in self._segments:
            if segment.first <= number <= segment.last:
                break
        else:
            raise KeyError(number)
        index = number - segment.first
        start = segment.offsets[index]
        end = segment.offsets[index + 1] if index + 1 < len(segment.offsets) else segment.size
        with _damage("read"):
            record = self._storage.read(segment.name, start, end - start)
        data = _entry(record, number)
        if data is None:
            raise QueueDamaged(
                f"entry {number} of the disk queue is damaged", hint="mirror again; check the queue's disk"
            )
        return data

    def release(self, up_to: int) -> None:
        """Remove the segments whose entries all have numbers up to ``up_to``."""
        with _damage("removed"):
            while self._segments and self._segments[0].last <= up_to:
                self._storage.remove(self._segments[0].name)
                self.used -= self._segments.popleft().size

    def _undo(self, segment: _Segment) -> None:
        if segment.size:
            self._storage.truncate(segment.name, segment.size)
        elif segment.name in self._storage.names():
            self._storage.remove(segment.name)

    def _recover(self) -> None:
        for name in self._storage.names():
            segment = self._scan(name)
            follows = segment is not None and (not self._segments or segment.first == self.held.stop)
            if segment is None or not follows:
                self._storage.remove(name)
                continue
            self._storage.truncate(name, segment.size)
            self._segments.append(segment)
            self.used += segment.size

    def _scan(self, name: str) -> _Segment | None:
        """The whole entries of a segment; None when it has none or belongs to another stream."""
        if self._storage.read(name, 0, _HEADER.size) != self._header:
            return None
        found: _Segment | None = None
        offset = _HEADER.size
        for number, data in self._whole_entries(name):
            if found is None:
                found = _Segment(name, number)
            found.offsets.append(offset)
            offset += _ENTRY.size + len(data)
            found.size = offset
        return found if found is not None and name == segment_name(found.first) else None

    def _whole_entries(self, name: str) -> Iterator[tuple[int, bytes]]:
        offset, expected = _HEADER.size, None
        while True:
            head = self._storage.read(name, offset, _ENTRY.size)
            if len(head) < _ENTRY.size:
                return
            number, length, _ = _ENTRY.unpack(head)
            # Zeroes, which a file system may leave after a crash, would pass for an entry 0.
            if not number or length > _LONGEST or (expected is not None and number != expected):
                return
            data = _entry(head + self._storage.read(name, offset + _ENTRY.size, length), number)
            if data is None:
                return
            yield number, data
            offset, expected = offset + _ENTRY.size + length, number + 1


@contextmanager
def _damage(done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise QueueDamaged(
            f"the disk queue cannot be {done}: {error.strerror or error}",
            hint="look at the kernel log for the queue's disk, then mirror again",
        ) from error


def _full(error: OSError) -> QueueFull:
    return QueueFull(
        f"the disk queue's file system took no more: {error.strerror}",
        hint="free some space, or give the queue another folder",
    )


def _checksum(number: int, data: bytes) -> int:
    return zlib.crc32(data, number & 0xFFFFFFFF)


def _entry(record: bytes, number: int) -> bytes | None:
    if len(record) < _ENTRY.size:
        return None
    found, length, checksum = _ENTRY.unpack_from(record)
    data = record[_ENTRY.size :]
    whole = found == number and length == len(data) and checksum == _checksum(number, data)
    return data if whole else None
