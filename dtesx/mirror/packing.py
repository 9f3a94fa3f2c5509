"""Operations into frames: small things together until a frame is worth sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dtesx.wire.frames import MAX_TABLE
from dtesx.wire.items import Xattrs
from dtesx.wire.operations import Enter, Operation, Put
from dtesx.wire.parts import Content

FRAME_BLOB = 1 << 20
"""Content bytes after which a frame is sent."""

_FRAME_TABLE = 512 << 10
_OPERATION = 48


class TooLarge(OSError):
    """One name has more metadata than a frame can carry."""


class Packer:
    """Collects operations with their content and hands over frames of about 1 MiB.

    Every frame says itself which directories its operations are in. ``travel`` returns when all parts
    of files that were handed over have been read.
    """

    def __init__(
        self,
        send: Callable[[list[Operation], list[Content]], None],
        travel: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._travel = travel
        self._operations: list[Operation] = []
        self._blob: list[Content] = []
        self._blob_bytes = 0
        self._table_bytes = 0
        self._directory: bytes | None = None

    def add(
        self,
        directory: bytes,
        operation: Operation,
        blob: Content = b"",
        *,
        names: int = 0,
        xattrs: Xattrs = (),
    ) -> None:
        """Add an operation in ``directory``; ``names`` and ``xattrs`` are what makes it long.

        Raises TooLarge, without adding it, when it would never fit into a frame.
        """
        weight = _OPERATION + names
        if xattrs:
            weight += weight_of(xattrs)
            if weight > MAX_TABLE // 2:
                raise TooLarge(0, "its extended attributes are too large to travel")
        self._make_room(directory, weight, blob)
        self._operations.append(operation)

    def add_files(self, directory: bytes, files: Sequence[Put], contents: Content) -> None:
        """Add new files, whose contents lie one after another; together they must fit into a frame."""
        weight = sum(_OPERATION + len(file.item.name) + weight_of(file.item.xattrs) for file in files)
        self._make_room(directory, weight, contents)
        self._operations += files

    def _make_room(self, directory: bytes, weight: int, blob: Content) -> None:
        """See to it that what weighs so much can be added next, and take its content."""
        if self._blob_bytes + len(blob) > FRAME_BLOB or self._table_bytes + weight > _FRAME_TABLE:
            self.flush()
        if directory != self._directory:
            self._operations.append(Enter(directory))
            self._table_bytes += len(directory) + _OPERATION
            self._directory = directory
        self._table_bytes += weight
        if blob:
            self._blob.append(blob)
            self._blob_bytes += len(blob)

    def travel(self) -> None:
        """Hand over what is collected; returns when the parts of files in it have been read."""
        self.flush()
        self._travel()

    def flush(self) -> None:
        """Hand over what is collected."""
        if self._operations:
            self._send(self._operations, self._blob)
        self._operations, self._blob = [], []
        self._blob_bytes = self._table_bytes = 0
        self._directory = None


def weight_of(xattrs: Xattrs) -> int:
    """What extended attributes take of a frame's table (bytes)."""
    return sum(len(name) + len(value) + 8 for name, value in xattrs) if xattrs else 0
