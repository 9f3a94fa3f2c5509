"""The source queue: frames that the target has not acknowledged, in memory first, then on disk."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from dtesx.base.log import get_logger
from dtesx.model.queue import QueueLimits
from dtesx.replication.queue.errors import QueueFull
from dtesx.replication.queue.segments import Segments
from dtesx.replication.queue.storage import Folder, Storage
from dtesx.replication.schedule import Queued

log = get_logger(__name__)


class SourceQueue:
    """Keeps numbered frames until they are released. For one thread.

    Numbers are consecutive. Once a frame went to disk, later ones follow it there until the disk
    queue is empty again, so that memory holds the older ones. ``stream`` is the random name (16
    bytes) of the stream that the frames belong to; what the folder still holds of it is taken up,
    anything else in it is removed. ``storage`` stands for the folder of ``limits``.

    Raises QueueDamaged when the disk queue fails.
    """

    def __init__(self, limits: QueueLimits, stream: bytes, storage: Storage | None = None) -> None:
        self._limits = limits
        self._storage: Storage | None = None
        self._segments: Segments | None = None
        if limits.on_disk:
            self._storage = storage or Folder(Path(limits.folder))
            self._segments = Segments(self._storage, stream)
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        on_disk = self._segments.held if self._segments else range(0)
        self._first, self._next = on_disk.start, on_disk.stop
        self._alerted = False

    @property
    def held(self) -> range:
        """The numbers that are held."""
        return range(self._first, self._next)

    def room(self, size: int) -> bool:
        """Whether a frame of ``size`` bytes would be taken now."""
        return self._fits_memory(size) or self._fits_disk(size)

    def put(self, number: int, data: bytes) -> None:
        """Take the next frame. Raises QueueFull, and has not taken it, when there is no room."""
        if not self.held:
            self._first = self._next = number
        elif number != self._next:
            raise ValueError(f"frame {number} does not follow {self._next - 1}")
        if self._fits_memory(len(data)):
            self._memory.append(data)
            self._memory_bytes += len(data)
        elif self._segments is not None and self._fits_disk(len(data)):
            self._segments.append(number, data)
            self._watch()
        else:
            raise QueueFull(
                "the source queue is full",
                hint="wait until the target has caught up, or give the queue more room",
            )
        self._next += 1

    def get(self, number: int) -> bytes:
        """A frame that is held; raises KeyError for any other."""
        if number not in self.held:
            raise KeyError(number)
        index = number - self._first
        if index < len(self._memory):
            return self._memory[index]
        assert self._segments is not None
        return self._segments.read(number)

    def release(self, up_to: int) -> None:
        """Forget the frames up to number ``up_to``: they are durable on the target."""
        while self._first <= up_to and self._memory:
            self._memory_bytes -= len(self._memory.popleft())
            self._first += 1
        if self._segments is not None:
            self._segments.release(up_to)
            self._watch()
        self._first = min(max(self._first, up_to + 1), self._next)

    def clear(self) -> None:
        """Forget all: the stream is over."""
        self.release(self._next - 1)

    def level(self) -> Queued:
        """The room in use, of memory and disk together."""
        used = self._memory_bytes + self._disk_used
        return Queued(used, 100 * used / (self._limits.memory + self._disk_capacity()))

    @property
    def _disk_used(self) -> int:
        return self._segments.used if self._segments is not None else 0

    def _fits_memory(self, size: int) -> bool:
        # A frame larger than all of memory would never fit; an empty queue takes it all the same.
        if self._disk_used:
            return False
        return not self._memory or self._memory_bytes + size <= self._limits.memory

    def _fits_disk(self, size: int) -> bool:
        if self._segments is None:
            return False
        return self._disk_used + Segments.weight(size) <= self._disk_capacity()

    def _disk_capacity(self) -> int:
        if self._storage is None:
            return 0
        free = self._disk_used + max(0, self._storage.free() - self._limits.minimum_free)
        return free if self._limits.disk is None else min(free, self._limits.disk)

    def _watch(self) -> None:
        capacity = self._disk_capacity()
        high = bool(self._disk_used) and 100 * self._disk_used >= self._limits.alert * capacity
        if high and not self._alerted:
            log.warning("the disk queue is filling", used=self._disk_used, capacity=capacity)
        self._alerted = high
