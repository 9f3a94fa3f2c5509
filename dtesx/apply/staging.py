"""The new file of one that differs, begun while the two are compared: its bytes are read once, for both.

What is staged has no name (O_TMPFILE, open(2)), so that nothing is left of it when nobody adopts it.
Where the file system shares blocks between files, it is a clone (ioctl_ficlone(2)) and nothing is written.
Where it does not, a large file is not made anew unless much of it differs: a journal changes it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from dtesx.apply.copying import write_at
from dtesx.base.holes import punch
from dtesx.wire.sums import Basis

_NEW = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_CLONE = 0x40049409  # FICLONE, linux/fs.h
_MOST = 64
_SYNCS_PAY = 32 << 20  # a journal costs some syncs: below this, writing the whole file is about as fast

Key = tuple[int, bytes, bytes]
"""A file: number of the root, directory, name."""


@dataclass(slots=True)
class Staged:
    """A file without a name that gets the content of the file ``basis``, at its places.

    ``fd`` is -1 when there is none, or none any more. A file that was ``cloned`` has it already, unless
    some was ``moved`` to another place. ``patched``: there is none, because the old one is to be changed.
    Once ``adopted`` it is the adopter's to close. ``holes`` (offset, length) are still to be made in the
    file that has the content already; ``forget`` is called when it is closed.
    """

    fd: int
    basis: Basis
    forget: Callable[[], object]
    cloned: bool = False
    patched: bool = False
    moved: bool = False
    adopted: bool = False
    holes: list[tuple[int, int]] = field(default_factory=list)

    def hollow(self, hole: Callable[[int, int], object]) -> None:
        """Make the holes that are still to be made, each by ``hole``. Raises its OSError."""
        while self.holes:
            hole(*self.holes[-1])
            self.holes.pop()

    def close(self) -> None:
        """Close it; what has no name is gone then."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
        self.forget()


def unstaged(_directory: bytes, _name: bytes, basis: Basis) -> Staged:
    """What is staged where nothing ever is."""
    return Staged(-1, basis, lambda: None)


class Staging:
    """At most 64 staged files. Nothing raises OSError: what cannot be staged is not."""

    def __init__(self) -> None:
        self._staged: dict[Key, Staged] = {}

    def begin(self, key: Key, directory: int, old: int, basis: Basis) -> None:
        """The file differs from the source's: stage it, if it is not yet and can be.

        ``directory`` is the descriptor of the one it is in, ``old`` its own.
        """
        if key in self._staged or len(self._staged) >= _MOST:
            return
        staged = self._add(key, _nameless(directory), basis)
        staged.cloned = staged.fd >= 0 and _clones(staged.fd, old)
        if not staged.cloned and basis.size >= _SYNCS_PAY and os.fstat(old).st_nlink == 1:
            staged.patched = True
            if staged.fd >= 0:
                os.close(staged.fd)
                staged.fd = -1

    def data(self, key: Key, offset: int, data: memoryview, *, moved: bool = False) -> bool:
        """The file has ``data`` for ``offset``, there or (``moved``) elsewhere.

        Returns whether the staged file has it now, too.
        """
        staged = self._staged.get(key)
        if staged is None or staged.fd < 0:
            return False
        staged.moved |= moved
        if staged.moved or not staged.cloned:
            try:
                write_at(staged.fd, data, offset)
            except OSError:  # as when there is no space: who copies instead waits for it
                return False
        return True

    def writes(self, key: Key) -> bool:
        """Whether there is a file that ``data`` may be written to."""
        staged = self._staged.get(key)
        return staged is not None and staged.fd >= 0 and (staged.moved or not staged.cloned)

    def hole(self, key: Key, offset: int, length: int) -> None:
        """The source has a hole here."""
        staged = self._staged.get(key)
        if staged is None or not (staged.cloned or staged.patched):
            return
        staged.holes.append((offset, length))
        if staged.fd >= 0:
            with suppress(OSError):  # who adopts it tries again
                staged.hollow(partial(punch, staged.fd))

    def adopt(self, key: Key, basis: Basis) -> Staged:
        """What is staged of a file in this state.

        If that is nothing, there will be nothing until the result is closed.
        """
        staged = self._staged.get(key)
        if staged is None or staged.basis != basis:
            self.drop(key)
            staged = self._add(key, -1, basis)
        staged.adopted = True
        return staged

    def drop(self, key: Key) -> None:
        """Give up what is staged of a file: it will be compared again."""
        staged = self._staged.pop(key, None)
        if staged is not None and not staged.adopted:
            staged.close()

    def clear(self) -> None:
        """Give up everything."""
        for key in list(self._staged):
            self.drop(key)

    def _add(self, key: Key, fd: int, basis: Basis) -> Staged:
        self._staged[key] = staged = Staged(fd, basis, lambda: self._forget(key, staged))
        return staged

    def _forget(self, key: Key, staged: Staged) -> None:
        if self._staged.get(key) is staged:
            del self._staged[key]


def _nameless(directory: int) -> int:
    """A new file; -1 where the file system has none without names, or no room."""
    try:
        return os.open(".", _NEW, 0o600, dir_fd=directory)
    except OSError:
        return -1


def _clones(fd: int, old: int) -> bool:
    try:
        fcntl.ioctl(fd, _CLONE, old)
    except OSError:
        return False
    return True
