"""What a stream has sent: how many operations wait until they are durable, and the last name of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence

from dtesx.wire.operations import Adjust, Begin, End, Enter, Link, Make, Operation, Put, Remove


class Sent:
    """Counts the operations of frames. ``last`` is the path of the last name that was sent, with its root."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, int]] = deque()
        self.last = b""

    def add(self, frame: int, root: bytes, operations: Sequence[Operation]) -> None:
        """A frame, its number higher than those before, is sent for the root at the path ``root``."""
        self._frames.append((frame, len(operations)))
        # What continues a large file has no name.
        for index in range(len(operations) - 1, -1, -1):
            if name := _name(operations[index]):
                directory = _directory(operations[:index])
                self.last = b"/".join((root, directory, name) if directory else (root, name))
                return

    def release(self, durable: int) -> None:
        """The frames up to number ``durable`` are on the target's disk."""
        while self._frames and self._frames[0][0] <= durable:
            self._frames.popleft()

    def operations(self, frames: Container[int] | None = None) -> int:
        """How many operations wait; with ``frames``, in these."""
        return sum(count for frame, count in self._frames if frames is None or frame in frames)


def _name(operation: Operation) -> bytes:
    if isinstance(operation, (Put, Make, End, Adjust)):
        return operation.item.name
    return operation.name if isinstance(operation, (Begin, Link, Remove)) else b""


def _directory(operations: Sequence[Operation]) -> bytes:
    entered = (each.path for each in reversed(operations) if isinstance(each, Enter))
    return next(entered, b"")
