"""The new file of one that differs, begun while the two are compared: its bytes are read once, for both.

What is staged has no name (O_TMPFILE, open(2)), so that nothing is left of it when nobody adopts it. It
is an offer: where it cannot be had, the parts of the old file are copied when the source says so.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from dtesx.apply.copying import punch, write_at
from dtesx.wire.sums import Basis

_NEW = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_CLONE = 0x40049409  # FICLONE, ioctl_ficlone(2)
_MOST = 64

Key = tuple[int, bytes, bytes]
"""A file: number of the root, directory, name."""


@dataclass(slots=True)
class Staged:
    """A file without a name that holds parts of the file ``basis``, at their places.

    ``parts`` are (start, end) of each in order; ``complete`` when there will be no more. ``holes``
    (offset, length) are still to be made. Once ``adopted`` it is the adopter's to close, but goes on
    to get parts. ``fd`` is -1 when it is closed.
    """

    fd: int
    basis: Basis
    adopted: bool = False
    complete: bool = False
    parts: list[tuple[int, int]] = field(default_factory=list)
    holes: list[tuple[int, int]] = field(default_factory=list)

    def hollow(self) -> None:
        """Make the holes that are still to be made. Raises OSError."""
        while self.holes:
            punch(self.fd, *self.holes[-1])
            self.holes.pop()

    def close(self) -> None:
        """Close it; what has no name is gone then."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def add(self, start: int, end: int) -> None:
        """A further part is there, behind the others."""
        if self.parts and self.parts[-1][1] == start:
            start = self.parts.pop()[0]
        self.parts.append((start, end))

    def missing(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What is not there between ``start`` and ``end``."""
        for first, last in self.parts:
            if last > start and first < end:
                if first > start:
                    yield start, first
                start = last
        if start < end:
            yield start, end


class Staging:
    """At most 64 staged files; for a further one the oldest is given up."""

    def __init__(self) -> None:
        self._staged: OrderedDict[Key, Staged] = OrderedDict()

    def begin(self, key: Key, directory: int, old: int, basis: Basis) -> None:
        """The file differs from the source's: stage it, if it is not yet and can be.

        ``directory`` is the descriptor of the one it is in, ``old`` its own.
        """
        if key in self._staged:
            return
        self._staged[key] = staged = Staged(-1, basis)
        if len(self._staged) > _MOST:
            self._release(self._staged.popitem(last=False)[1])
        with suppress(OSError):  # of file systems that cannot do the one or the other
            staged.fd = os.open(".", _NEW, 0o600, dir_fd=directory)
            fcntl.ioctl(staged.fd, _CLONE, old)
            staged.add(0, basis.size)
            staged.complete = True

    def data(self, key: Key, offset: int, data: memoryview) -> None:
        """The file has ``data`` at ``offset``; parts come in order."""
        staged = self._staged.get(key)
        if staged is None or staged.fd < 0 or staged.complete:
            return
        try:
            write_at(staged.fd, data, offset)
        except OSError:  # as when there is no space: who copies instead waits for it
            staged.complete = True
            self._release(staged)
        else:
            staged.add(offset, offset + len(data))

    def hole(self, key: Key, offset: int, length: int) -> None:
        """The source has a hole here."""
        staged = self._staged.get(key)
        if staged is not None and staged.fd >= 0 and staged.parts and staged.complete:
            staged.holes.append((offset, length))
            with suppress(OSError):  # who adopts it tries again
                staged.hollow()

    def adopt(self, key: Key, basis: Basis) -> Staged | None:
        """What is staged of a file in this state, if anything."""
        staged = self._staged.get(key)
        if staged is None or staged.fd < 0 or staged.basis != basis:
            return None
        staged.adopted = True
        return staged

    def drop(self, key: Key) -> None:
        """Give up what is staged of a file: it will be compared again."""
        if (staged := self._staged.pop(key, None)) is not None:
            self._release(staged)

    def close(self) -> None:
        """Give up everything."""
        while self._staged:
            self._release(self._staged.popitem()[1])

    def _release(self, staged: Staged) -> None:
        if not staged.adopted:
            staged.close()
