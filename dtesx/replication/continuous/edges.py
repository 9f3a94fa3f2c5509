"""Epochs whose edge is one moment: what changed is read while the source's file systems are frozen.

The target is not asked meanwhile. What is read goes to memory, and from there it is mirrored when the
file systems have long gone on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from dtesx.capture.errors import NotWatchable
from dtesx.capture.filesystems import file_system
from dtesx.capture.settling import write_back_all
from dtesx.mirror.gathering import Gathering, NotStill
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.selection import Scope
from dtesx.mirror.still import laid_out
from dtesx.model.changes import Changes
from dtesx.model.replication import FreezeStats
from dtesx.volumes.freezing import Freezer
from dtesx.volumes.memory import open_memory

_MEMORY = 512 << 20
_SMALL = 64 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Root:
    """A root as it is read: its directory, what of it travels, and the names of its files."""

    fd: int
    scope: Scope | None
    links: LinkNames


@dataclass(frozen=True)
class Still:
    """What changed below one root as it was at one moment: ``changes``, to be mirrored from ``fd``."""

    fd: int
    changes: Changes


@dataclass(frozen=True)
class Edge:
    """A moment (``taken``, Unix seconds) and what had changed below each root until then."""

    taken: float
    stills: Mapping[str, Still]


class Edges:
    """Makes edges: freezes the file systems behind ``directories`` (descriptors, that stay the caller's).

    For one thread. Raises CommandFailed.
    """

    def __init__(self, directories: Iterable[int], budget: float) -> None:
        self._budget = budget
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
    def edge(self, roots: Mapping[str, Root], take: Callable[[], Mapping[str, Changes]]) -> Iterator[Edge]:
        """An edge now. ``take`` gives what changed until then; it is called while nothing can be written.

        Raises NotFrozen, NotStill.
        """
        with ExitStack() as stack:
            memory = stack.enter_context(open_memory(_MEMORY))
            self.settle()  # so that freezing has little to write
            stills = {}
            taken, gathered = self._read(roots, take, memory, stack)
            for root, gathering in gathered.items():
                fd = stack.enter_context(laid_out(gathering))
                stills[root] = Still(fd, gathering.changes)
            yield Edge(taken, stills)

    def _read(
        self,
        roots: Mapping[str, Root],
        take: Callable[[], Mapping[str, Changes]],
        memory: int,
        stack: ExitStack,
    ) -> tuple[float, dict[str, Gathering]]:
        until = time.monotonic() + self._budget

        def pause() -> None:
            if time.monotonic() > until:
                raise _late(self._budget)

        gathered = {}
        for number, root in enumerate(roots):
            os.mkdir(name := b"%d" % number, dir_fd=memory)
            files = os.open(name, _DIRECTORY, dir_fd=memory)
            stack.callback(os.close, files)
            gathered[root] = Gathering(files, _SMALL, pause)
        with self._freezer.frozen(self._budget) as moment:
            taken = time.time()
            changes = take()
            for root, at in roots.items():
                if changes[root] and not changes[root].everything:
                    at.links.complete(at.fd, changes[root].names, pause)
                gathered[root].gather(at.fd, at.scope, changes[root])
        if not moment.whole:
            raise _late(self._budget)
        return taken, gathered


def _late(budget: float) -> NotStill:
    return NotStill(
        f"what changed could not be read within {budget} s", hint="see --freeze-budget and --epoch"
    )


def _system(directory: int) -> int:
    """The file system of an open directory: the subvolumes of a btrfs are one."""
    try:
        return file_system(directory).device
    except NotWatchable:
        return os.fstat(directory).st_dev
