"""The operations that turn the target's file into the source's, as they become known."""

from __future__ import annotations

from dtesx.mirror.packing import Packer
from dtesx.mirror.tally import Tally
from dtesx.wire.items import Item
from dtesx.wire.operations import Abort, Begin, Copy, Data, End, Hole
from dtesx.wire.sums import Basis

COPY = 16 << 20
"""Bytes after which a copy is handed over, so that the target copies while the rest is compared."""


class Patch:
    """One file's operations. Nothing is sent before the first difference; parts come in order."""

    def __init__(
        self, packer: Packer, tally: Tally, directory: bytes, name: bytes, size: int, *, in_place: bool
    ) -> None:
        self._packer = packer
        self._tally = tally
        self._directory = directory
        self._name = name
        self._size = size
        self._in_place = in_place
        self._same: list[tuple[int, int, int]] = []
        self.begun = False
        self.sent = 0

    def same(self, offset: int, length: int, start: int) -> None:
        """The target's file has the content that belongs at ``offset`` at ``start``."""
        if self._same:
            first, before, begin = self._same[-1]
            if (first + before, begin + before) == (offset, start):
                self._same.pop()
                offset, length, start = first, before + length, begin
        self._same.append((offset, length, start))
        if self.begun and self._same[-1][1] >= COPY:
            self._copy()

    def data(self, basis: Basis, offset: int, data: bytes | memoryview) -> None:
        """The source has other content here."""
        self.begin(basis)
        self._packer.add(self._directory, Data(offset, len(data)), data)
        self._tally.bytes_sent += len(data)
        self.sent += len(data)

    def hole(self, basis: Basis, offset: int, length: int) -> None:
        """The source has a hole here, the target something else."""
        self.begin(basis)
        if self._in_place:
            self._packer.add(self._directory, Hole(offset, length))

    def begin(self, basis: Basis) -> None:
        """The file differs: what follows is sent, and what was the same so far."""
        if not self.begun:
            self.begun = True
            operation = Begin(self._name, basis, self._in_place, self._size)
            self._packer.add(self._directory, operation, names=len(self._name))
        self._copy()

    def end(self, item: Item, atime_ns: int, flags: int) -> None:
        """The begun file is complete."""
        self._copy()
        operation = End(item, atime_ns, flags)
        self._packer.add(self._directory, operation, names=len(item.name), xattrs=item.xattrs)
        self.begun = False

    def abort(self) -> None:
        """Forget what was begun, if anything was."""
        if self.begun:
            self._packer.add(self._directory, Abort())
        self.begun = False
        self._same.clear()

    def _copy(self) -> None:
        if not self._in_place:
            for offset, length, start in self._same:
                for at in range(0, length, COPY):
                    self._packer.add(self._directory, Copy(offset + at, min(COPY, length - at), start + at))
        self._same.clear()
