"""The state of a directory, to tell that nothing in it has changed."""

from __future__ import annotations

import os
import stat
import struct
import time
from operator import attrgetter

import msgspec
from blake3 import blake3

from dtesx import batch
from dtesx.mirror.catalogue import DIGEST

# A change within the tick of the clock that stamped the last one leaves the ctime as it is, so what
# changed just now may change again unseen.
_RACY_NS = 2_000_000_000
_FACTS = attrgetter(
    *("st_ctime_ns", "st_mtime_ns", "st_ino", "st_size", "st_mode"),
    *("st_uid", "st_gid", "st_nlink", "st_rdev"),
)
_NUMBERS = struct.Struct("=9Q")
_MASK = (1 << 64) - 1
_AT_ONCE = 1024
_ENCODER = msgspec.msgpack.Encoder()


class State:
    """The state of a directory: its names and what stat(2) says about them and about itself (``own``)."""

    def __init__(self, own: os.stat_result, names: list[bytes]) -> None:
        self._began = time.time_ns()
        self._newest = own.st_ctime_ns
        self._hash = blake3(_facts(own))
        for start in range(0, len(names), _AT_ONCE):
            self._hash.update(_ENCODER.encode(names[start : start + _AT_ONCE]))
        self._unknown = len(names)

    def note(self, status: os.stat_result) -> None:
        """Add what is known of the next name."""
        self.add(_facts(status), status.st_ctime_ns)

    def add(self, facts: bytes, newest: int) -> None:
        """Add what is known of the next names and the latest of their ctimes (batch.Native.facts)."""
        self._unknown -= len(facts) // _NUMBERS.size
        self._newest = max(self._newest, newest)
        self._hash.update(facts)

    @property
    def newest(self) -> int:
        """The latest ctime of the directory and of all that was added, in nanoseconds."""
        return self._newest

    @property
    def settled(self) -> bool:
        """Whether all names were added, and changed so long ago that the next change will show."""
        return not self._unknown and self._newest < self._began - _RACY_NS

    def digest(self) -> bytes:
        """The digest of it all."""
        return self._hash.digest(DIGEST)


def look(state: State, fd: int, names: list[bytes], device: int) -> list[bytes] | None:
    """Add all names of a directory; returns those that are directories on ``device``.

    None when one of them is gone.
    """
    below: list[bytes] = []
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        if batch.native is None:
            try:
                statuses = [os.stat(name, dir_fd=fd, follow_symlinks=False) for name in some]
            except OSError:
                return None
            for name, status in zip(some, statuses, strict=True):
                state.note(status)
                if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                    below.append(name)
        else:
            facts, newest, directories = batch.native.facts(fd, some, device)
            if not facts:
                return None
            state.add(facts, newest)
            below += directories
    return below


def changed_since(directory: int, name: bytes, since: int) -> bool:
    """Whether anything of a name in an open directory changed at ``since`` (nanoseconds) or later."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_ctime_ns >= since
    except OSError:
        return False


def _facts(status: os.stat_result) -> bytes:
    try:
        return _NUMBERS.pack(*_FACTS(status))
    except struct.error:  # a time before 1970, or one that 64 bits do not hold
        return _NUMBERS.pack(*(fact & _MASK for fact in _FACTS(status)))
