"""The queues' rules, purely: how two kinds of packets mix, when a target holds its source back."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Generic, TypeVar

from dtesx.model.mirror import MirrorOptions
from dtesx.model.queue import AutoRemirror, Mixing, WaterMarks

T = TypeVar("T")


class Mixer(Generic[T]):
    """Two lines into one queue: replication and the mirror's packets, each in its own order."""

    def __init__(self, rule: Mixing) -> None:
        self._rule = rule
        self._replication: deque[T] = deque()
        self._mirror: deque[T] = deque()
        self._since_mirror = 0

    @property
    def mirror_may_add(self) -> bool:
        """Whether the mirror may add a packet, or has as many pending as it may."""
        return len(self._mirror) < self._rule.pending_mirror

    def add_replication(self, packet: T) -> None:
        """Add a packet of the replication."""
        self._replication.append(packet)

    def add_mirror(self, packet: T) -> None:
        """Add a packet of the mirror; only while ``mirror_may_add``."""
        if not self.mirror_may_add:
            raise ValueError("too many mirror packets are pending")
        self._mirror.append(packet)

    def take(self) -> T | None:
        """The packet whose turn it is; None when there is none."""
        mirrors_turn = self._since_mirror >= self._rule.replication_to_mirror
        if self._mirror and (mirrors_turn or not self._replication):
            self._since_mirror = 0
            return self._mirror.popleft()
        if self._replication:
            self._since_mirror += 1
            return self._replication.popleft()
        return None


class Gate:
    """Holds a source back from the high water mark on until the low one. Memory in bytes."""

    def __init__(self, marks: WaterMarks, memory: int) -> None:
        self._high = memory * marks.high // 100
        self._low = memory * marks.low // 100
        self.closed = False

    def update(self, held: int) -> bool:
        """Note how many bytes the target holds; True when the gate opened or closed by it."""
        closed = held >= self._high or (self.closed and held > self._low)
        changed = closed is not self.closed
        self.closed = closed
        return changed


def remirror(options: MirrorOptions, rule: AutoRemirror) -> MirrorOptions | None:
    """The mirror that follows an automatic reconnection; None: none, until somebody starts one.

    It is never ``newer_only``: what was lost with the queue may be older than what the target has.
    """
    return None if rule.compare is None else replace(options, compare=rule.compare, newer_only=False)
