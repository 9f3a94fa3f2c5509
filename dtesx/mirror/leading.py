"""The source's walk, a little ahead of its mirror, so that the target's answers are there in time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from dtesx.mirror.reading import Reader, Reading
from dtesx.mirror.scan import Visit
from dtesx.wire.items import reserved
from dtesx.wire.messages import Question

PORTION = 2048
"""Names after which the target is asked about their directories."""

_DIRECTORY = 8  # a directory weighs as much as so many names
_PATH = 64  # and so many bytes of its path as one


Ask = Callable[[list[Question], bool], None]
"""Asks the target about directories, and says whether these are the last."""


NEVER = (1 << 63) - 1
"""A ctime, in nanoseconds, that nothing has."""


def is_recent(reading: Reading, since: int) -> bool:
    """Whether something in a directory changed at ``since`` or later, or may have."""
    return since != NEVER and (reading.newest is None or reading.newest >= since)


def may_be_another(directory: os.stat_result, since: int) -> bool:
    """Whether a directory may have got its path at ``since`` (ctime, nanoseconds) or later.

    To rename it sets its ctime alone; so do others, but what changes names in it sets both (rename(2),
    ext4, XFS, btrfs).
    """
    return directory.st_ctime_ns >= since > directory.st_mtime_ns


class Stop(msgspec.Struct, frozen=True, eq=False):
    """A directory that the walk entered, with what it read there, or left (``reading`` is None)."""

    visit: Visit
    reading: Reading | None
    weight: int = 0


class Lead:
    """Goes over ``walk``, asks the target about every directory, and yields it two portions later.

    In directories that are ``doubtful``, and in those where something changed at ``since`` (ctime,
    nanoseconds) or later, something may differ although all that their digests cover is the same.
    """

    def __init__(
        self,
        walk: Iterator[Visit],
        reader: Reader,
        ask: Ask,
        *,
        doubtful: Callable[[Visit], bool] = lambda _visit: False,
        since: int = NEVER,
    ) -> None:
        self._doubtful = doubtful
        self._since = since
        self._walk = walk
        self._reader = reader
        self._ask = ask
        self._stops: deque[Stop] = deque()
        self._ahead = 0

    def stops(self) -> Iterator[Stop]:
        """All directories, entered and left, in the order of the walk."""
        going_on = True
        while going_on or self._stops:
            while going_on and self._ahead < 2 * PORTION:
                going_on = self._portion()
            if self._stops:
                stop = self._stops.popleft()
                self._ahead -= stop.weight
                yield stop

    def _portion(self) -> bool:
        """Walk on for a portion and ask about it; False when that was the end."""
        questions: list[Question] = []
        walked = 0
        for visit in self._walk:
            if visit.entered:
                reading = self._reader.read(visit)
                weight = len(visit.names) + _DIRECTORY + len(visit.path) // _PATH
                stop = Stop(visit, reading, weight)
                only = None if visit.only is None else [name for name in visit.names if not reserved(name)]
                visit.names = []
                doubted = self._doubtful(visit) or is_recent(reading, self._since)
                digest = b"" if doubted else reading.digest
                questions.append((visit.path, digest, only))
            else:
                stop = Stop(visit, None)
            self._stops.append(stop)
            walked += stop.weight
            if walked >= PORTION:
                break
        self._ahead += walked
        self._ask(questions, walked < PORTION)
        return walked >= PORTION
