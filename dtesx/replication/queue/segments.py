"""Numbered entries in segment files: appended, read back, dropped from the front.

They serve one process: after a restart a mirror goes on by difference, not from its queue.
"""

from __future__ import annotations

import errno
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dtesx.replication.queue.errors import QueueDamaged
from dtesx.replication.queue.storage import File, Storage

SEGMENT = 64 << 20
"""Bytes after which a segment is closed and another begun."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class _Entry:
    offset: int
    length: int
    checksum: int


@dataclass(slots=True)
class _Segment:
    file: File
    first: int
    entries: list[_Entry] = field(default_factory=list)
    size: int = 0

    @property
    def stop(self) -> int:
        return self.first + len(self.entries)


class Segments:
    """The disk queue. Numbers are consecutive; ``used`` is the room taken, in bytes.

    Every method raises QueueDamaged when the storage fails.
    """

    def __init__(self, storage: Storage, *, segment: int = SEGMENT) -> None:
        self._storage = storage
        self._limit = segment
        self._segments: deque[_Segment] = deque()
        self.used = 0

    @property
    def held(self) -> range:
        """The numbers that are held."""
        if not self._segments:
            return range(0)
        return range(self._segments[0].first, self._segments[-1].stop)

    def append(self, number: int, data: bytes) -> bool:
        """Add the next entry; False, and nothing is added, when the file system has no room."""
        if self.held and number != self.held.stop:
            raise ValueError(f"entry {number} does not follow {self.held.stop - 1}")
        with _damage("written"):
            segment = self._segments[-1] if self._segments else None
            try:
                if segment is None or segment.size >= self._limit:
                    segment = _Segment(self._storage.file(), number)
                segment.file.write(data, segment.size)
            except OSError as error:
                if segment is not None and not segment.entries:
                    segment.file.close()
                if error.errno in _NO_ROOM:
                    return False
                raise
        if not segment.entries:
            self._segments.append(segment)
        segment.entries.append(_Entry(segment.size, len(data), zlib.crc32(data)))
        segment.size += len(data)
        self.used += len(data)
        return True

    def read(self, number: int) -> bytes:
        """The entry ``number``. Raises KeyError when it is not held, QueueDamaged when it is not whole."""
        for segment in self._segments:
            if segment.first <= number < segment.stop:
                break
        else:
            raise KeyError(number)
        entry = segment.entries[number - segment.first]
        with _damage("read"):
            data = segment.file.read(entry.length, entry.offset)
        if len(data) != entry.length or zlib.crc32(data) != entry.checksum:
            raise QueueDamaged(
                f"entry {number} of the disk queue is damaged", hint="mirror again; check the queue's disk"
            )
        return data

    def release(self, up_to: int) -> None:
        """Remove the segments whose entries all have numbers up to ``up_to``."""
        with _damage("removed"):
            while self._segments and self._segments[0].stop <= up_to + 1:
                segment = self._segments.popleft()
                self.used -= segment.size
                segment.file.close()

    def close(self) -> None:
        """Remove everything."""
        self.release(self.held.stop)


@contextmanager
def _damage(done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise QueueDamaged(
            f"the disk queue cannot be {done}: {error.strerror or error}",
            hint="look at the kernel log for the queue's disk, then mirror again",
        ) from error
