"""How much of what a target applied is on disk: synced in the background while more is being applied."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from dtesx.apply.durable import sync_file_system

_BYTES = 64 << 20
_SECONDS = 2.0


class Durability:
    """Syncs what was applied every 64 MiB or 2 s, one round at a time, in a thread of its own.

    ``last`` is the highest frame applied, ``durable`` the highest one that is on disk with all before
    it. ``wake`` is called, from the thread, when a round is over. For one thread otherwise.
    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.last = 0
        self.durable = 0
        self._wake = wake
        self._clock = clock
        self._waiting: set[int] = set()  # descriptors of file systems with something not on disk
        self._bytes = 0
        self._since = 0.0
        self._now = False
        self._round: _Round | None = None

    def applied(self, number: int, size: int, fd: int | None = None) -> None:
        """Note a frame of ``size`` bytes as applied to the file system of ``fd`` (None: to none)."""
        if fd is not None:
            if not self._waiting:
                self._since = self._clock()
            self._waiting.add(fd)
            self._bytes += size
        elif not self._waiting and self._round is None:
            self.durable = number
        self.last = number

    @property
    def idle(self) -> bool:
        """Whether all that was applied, and all that was to be committed, is on disk."""
        return self._round is None and not self._waiting

    def commit(self, fd: int) -> None:
        """Make everything durable as soon as can be."""
        self._waiting.add(fd)
        self._now = True

    def look(self) -> None:
        """Note a round that is over, begin one that is due. Raises OSError when syncing failed."""
        if self._round is not None and self._round.over.is_set():
            ended, self._round = self._round, None
            ended.join()
            if ended.error is not None:
                raise ended.error
            self.durable = ended.number
            if not self._waiting:
                self.durable = self.last
        if self._round is None and self._waiting and self._due():
            self._round = _Round(self._waiting, self.last, self._wake)
            self._waiting, self._bytes, self._now = set(), 0, False
            self._round.start()

    def close(self) -> None:
        """Wait for the round that is under way."""
        if self._round is not None:
            self._round.join()

    def _due(self) -> bool:
        return self._now or self._bytes >= _BYTES or self._clock() - self._since >= _SECONDS


class _Round(threading.Thread):
    def __init__(self, fds: set[int], number: int, wake: Callable[[], None]) -> None:
        super().__init__(name="dtesx-sync", daemon=True)
        self.number = number
        self.over = threading.Event()
        self.error: OSError | None = None
        self._fds = [os.dup(fd) for fd in fds]
        self._done = wake

    def run(self) -> None:
        try:
            for fd in self._fds:
                sync_file_system(fd)
        except OSError as error:
            self.error = error
        finally:
            for fd in self._fds:
                os.close(fd)
            self.over.set()
            self._done()
