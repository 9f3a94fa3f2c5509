"""Epochs whose edge is one moment: what changed is read while the source's file systems are frozen.

The target is not asked meanwhile. What is read goes to memory, and from there it is mirrored when the
file systems have long gone on.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from dtesx.capture.errors import NotWatchable
from dtesx.capture.filesystems import file_system
from dtesx.capture.settling import write_back_all
from dtesx.mirror.gathering import Gathering, NotStill
from dtesx.mirror.selection import Scope
from dtesx.mirror.still import laid_out
from dtesx.model.changes import Changes
from dtesx.model.epoch import EpochKind
from dtesx.model.replication import FreezeStats
from dtesx.volumes.freezing import Freezer
from dtesx.volumes.memory import open_memory

_MEMORY = 512 << 20
_SMALL = 64 << 20
_AHEAD = 10.0
_ROUNDS, _LITTLE, _BETTER, _CHANCES = 6, 0.1, 0.8, 2
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Root:
    """A root as it is read: its directory, and what of it travels."""

    fd: int
    scope: Scope | None


@dataclass(frozen=True)
class Still:
    """What changed below one root as it was at one moment: ``changes``, to be mirrored from ``fd``."""

    fd: int
    changes: Changes


@dataclass(frozen=True)
class Edge:
    """A moment (``taken``, Unix seconds), what it is worth, and what had changed below each root by then."""

    taken: float
    kind: EpochKind
    stills: Mapping[str, Still]


class Changing(Protocol):
    """Knows what changed below all roots, by root. ``pause`` is called often, and may raise."""

    def so_far(self, pause: Callable[[], None]) -> Mapping[str, Changes]:
        """What changed since the last time; what happens from the call on is told by the next."""

    def at_last(self, pause: Callable[[], None]) -> Mapping[str, Changes]:
        """The same, while nothing can be written."""


class Edges:
    """Makes edges: freezes the file systems behind ``directories`` (descriptors, that stay the caller's).

    ``prepared`` gives a context in which applications are prepared, and what the epoch is worth then.
    For one thread. Raises CommandFailed.
    """

    def __init__(
        self,
        directories: Iterable[int],
        budget: float,
        prepared: Callable[[], AbstractContextManager[EpochKind]],
    ) -> None:
        self._budget = budget
        self._prepared = prepared
        self._directories = [os.dup(fd) for fd in {_system(fd): fd for fd in directories}.values()]
        self._freezer = Freezer(self._directories)

    def close(self) -> None:
        """End what freezes."""
        self._freezer.close()
        for directory in self._directories:
            os.close(directory)

    @property
    def freezes(self) -> FreezeStats:
        """For how long file systems were frozen."""
        return self._freezer.stats

    def settle(self) -> None:
        """Write all back: what is dirty while changes are taken could be written to again unseen."""
        for directory in self._directories:
            write_back_all(directory)

    @contextmanager
    def edge(self, roots: Mapping[str, Root], changing: Changing) -> Iterator[Edge]:
        """An edge now. Raises NotFrozen, NotStill."""
        with ExitStack() as stack:
            memory = stack.enter_context(open_memory(_MEMORY))
            reading = _Reading(roots, memory, stack)
            self._prepare(reading, changing)
            with self._prepared() as kind:
                if kind is EpochKind.APPLICATION:  # they have just written all they hold
                    self._prepare(reading, changing)
                taken = self._read(reading, changing)
            stills = {}
            for root, gathering in reading.gathered.items():
                fd = stack.enter_context(laid_out(gathering))
                stills[root] = Still(fd, gathering.changes)
            yield Edge(taken, kind, stills)

    def _prepare(self, reading: _Reading, changing: Changing) -> None:
        """Read and write back, until little is left of both: it would hold up who writes.

        Raises NotStill when what is left would take longer than may be.
        """
        took, reads, chances = math.inf, 0.0, _CHANCES
        for _ in range(_ROUNDS):
            began, before, deadline = time.monotonic(), took, _Deadline(_AHEAD)
            changes = changing.so_far(deadline.pause)
            told = time.monotonic()
            reading.read(changes, deadline, still=False)
            reads = time.monotonic() - told
            self.settle()
            took = time.monotonic() - began
            if took < _LITTLE:
                return
            if took > before * _BETTER:
                chances -= 1
                if not chances or reads < self._budget / 2:
                    break
        if reads > self._budget:  # what changes in such a round takes as long to read again
            raise _Deadline(self._budget).passed()

    def _read(self, reading: _Reading, changing: Changing) -> float:
        with self._freezer.frozen(self._budget) as moment:
            deadline = _Deadline(self._budget)
            taken = time.time()
            reading.read(changing.at_last(deadline.pause), deadline, still=True)
        if not moment.whole:
            raise deadline.passed()
        return taken


class _Reading:
    """Reads what changed of ``roots`` to ``memory``; ``stack`` closes what it opens."""

    def __init__(self, roots: Mapping[str, Root], memory: int, stack: ExitStack) -> None:
        self._roots = roots
        self.gathered: dict[str, Gathering] = {}
        for number, root in enumerate(roots):
            os.mkdir(name := b"%d" % number, dir_fd=memory)
            files = os.open(name, _DIRECTORY, dir_fd=memory)
            stack.callback(os.close, files)
            self.gathered[root] = Gathering(files, _SMALL)

    def read(self, changes: Mapping[str, Changes], deadline: _Deadline, *, still: bool) -> None:
        """Read all of it, or raise NotStill."""
        for root, at in self._roots.items():
            self.gathered[root].gather(at.fd, at.scope, changes[root], deadline.pause, still=still)


class _Deadline:
    """So many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def pause(self) -> None:
        """Raise NotStill when they are over."""
        if time.monotonic() > self._until:
            raise self.passed()

    def passed(self) -> NotStill:
        """That they are over."""
        return NotStill(
            f"what changed could not be read within {self._seconds} s", hint="see --freeze-budget and --epoch"
        )


def _system(directory: int) -> int:
    """The file system of an open directory: the subvolumes of a btrfs are one."""
    try:
        return file_system(directory).device
    except NotWatchable:
        return os.fstat(directory).st_dev
