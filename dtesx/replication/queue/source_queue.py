"""The source queue: frames that the target does not have on disk yet, in memory first, then on disk."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from dtesx.base.log import get_logger
from dtesx.model.queue import QueueLimits
from dtesx.replication.queue.segments import Segments
from dtesx.replication.queue.storage import Folder, Storage
from dtesx.replication.schedule import Queued
from dtesx.wire.frames import Encoded

log = get_logger(__name__)


class SourceQueue:
    """Keeps the numbered frames of one stream until they are released. For one thread.

    Numbers are consecutive. Once a frame went to disk, later ones follow it there until the disk
    queue is empty again, so that memory holds the older ones, of ``memory_bytes``. ``storage`` stands
    for the folder of ``limits``. Raises QueueDamaged when the disk queue fails.
    """

    def __init__(self, limits: QueueLimits, storage: Storage | None = None) -> None:
        self._limits = limits
        self._storage: Storage | None = None
        self._segments: Segments | None = None
        if limits.on_disk:
            self._storage = storage or Folder(Path(limits.folder))
            self._segments = Segments(self._storage)
        self._memory: deque[Encoded] = deque()
        self.memory_bytes = 0
        self._first = self._next = 0
        self._alerted = False

    @property
    def held(self) -> range:
        """The numbers that are held."""
        return range(self._first, self._next)

    def put(self, number: int, frame: Encoded) -> bool:
        """Take the next frame; False, and it is not taken, while there is no room for it."""
        if not self.held:
            self._first = self._next = number
        elif number != self._next:
            raise ValueError(f"frame {number} does not follow {self._next - 1}")
        if len(self.held) >= self._limits.pending:
            return False
        size = _size(frame)
        if self._fits_memory(size):
            self._memory.append(frame)
            self.memory_bytes += size
        elif not self._to_disk(number, frame, size):
            return False
        self._next += 1
        return True

    def get(self, number: int) -> Encoded:
        """A frame that is held; raises KeyError for any other."""
        if number not in self.held:
            raise KeyError(number)
        index = number - self._first
        if index < len(self._memory):
            return self._memory[index]
        assert self._segments is not None
        return (self._segments.read(number),)

    def release(self, up_to: int) -> None:
        """Forget the frames up to number ``up_to``: they are durable on the target."""
        while self._first <= up_to and self._memory:
            self.memory_bytes -= _size(self._memory.popleft())
            self._first += 1
        if self._segments is not None:
            self._segments.release(up_to)
            self._watch()
        self._first = min(max(self._first, up_to + 1), self._next)

    def close(self) -> None:
        """Forget all: the stream is over."""
        self._memory.clear()
        if self._segments is not None:
            self._segments.close()

    def level(self) -> Queued:
        """The room in use, of memory and disk together."""
        used = self.memory_bytes + self.disk_bytes
        return Queued(used, 100 * used / (self._limits.memory + self._disk_capacity()))

    @property
    def on_disk(self) -> range:
        """The numbers that are held on disk."""
        return range(self._first + len(self._memory), self._next)

    @property
    def disk_bytes(self) -> int:
        """The size of what is held on disk."""
        return self._segments.used if self._segments is not None else 0

    def _fits_memory(self, size: int) -> bool:
        # A frame larger than all of memory would never fit; an empty queue takes it all the same.
        if self.disk_bytes:
            return False
        return not self._memory or self.memory_bytes + size <= self._limits.memory

    def _to_disk(self, number: int, frame: Encoded, size: int) -> bool:
        if self._segments is None or self.disk_bytes + size > self._disk_capacity():
            return False
        taken = self._segments.append(number, b"".join(map(bytes, frame)))
        self._watch()
        return taken

    def _disk_capacity(self) -> int:
        if self._storage is None:
            return 0
        free = self.disk_bytes + max(0, self._storage.free() - self._limits.minimum_free)
        return free if self._limits.disk is None else min(free, self._limits.disk)

    def _watch(self) -> None:
        capacity = self._disk_capacity()
        high = bool(self.disk_bytes) and 100 * self.disk_bytes >= self._limits.alert * capacity
        if high and not self._alerted:
            log.warning("the disk queue is filling", used=self.disk_bytes, capacity=capacity)
        self._alerted = high


def _size(frame: Encoded) -> int:
    return sum(map(len, frame))
