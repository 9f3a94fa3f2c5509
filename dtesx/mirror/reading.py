"""Reading directories as digests: two trees with the same digests are the same to a mirror.

A directory's content digest covers all that Items say about its names (of the root also about
itself). Where the catalogue has the directory in the very same state, the digest is known from
there, and no extended attribute is read and no Item is made.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

import msgspec
from blake3 import blake3

from dtesx.mirror.catalogue import DIGEST, Catalogue, Record
from dtesx.mirror.scan import Visit, own_item
from dtesx.wire.items import Item

KEEP = 4096
"""So many Items of a directory are kept in memory; a larger one is read again when they are needed."""

_AT_ONCE = 1024
# A change within the tick of the clock that stamped the last one leaves the ctime as it is, so what
# changed just now may change again unseen.
_RACY_NS = 2_000_000_000
_FACTS = attrgetter(
    *("st_ctime_ns", "st_mtime_ns", "st_ino", "st_size", "st_mode"),
    *("st_uid", "st_gid", "st_nlink", "st_rdev"),
)
_CTIME, _SIZE, _LINK = attrgetter("st_ctime_ns"), attrgetter("size"), attrgetter("link")
_ENCODER = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a directory holds.

    ``digest`` is empty where it must be compared name by name. ``items`` is None when they were not
    made or are too many. ``files`` are all names but directories and sockets, ``size`` their bytes.
    """

    digest: bytes
    items: list[Item] | None
    files: int = 0
    size: int = 0
    sockets: int = 0


class Reader:
    """Reads the directories of one tree in walking order.

    Without ``digests`` every directory is to be compared name by name, and the catalogue stays unused.
    ``pause`` is called now and then in large directories, and may raise.
    """

    def __init__(
        self,
        catalogue: Catalogue | None,
        *,
        digests: bool = True,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalogue = catalogue if digests else None
        self._digests = digests
        self._pause = pause

    def read(self, visit: Visit) -> Reading:
        """Read an entered directory and fill its ``below``."""
        catalogue = self._catalogue
        if catalogue is not None and visit.plain and not visit.hidden:
            record = catalogue.find(visit.path)
            if record is not None and _unchanged(visit, record):
                catalogue.note(record)
                return Reading(record.content, None, record.files, record.size, record.sockets)
        return self._read(visit)

    def _read(self, visit: Visit) -> Reading:
        contents = _Contents(visit, self._digests)
        if self._catalogue is None or not visit.plain:
            while contents.more():
                self._pause()
            return contents.reading()
        statuses: list[os.stat_result] = []
        visit.statuses = statuses
        state = _State(visit.status)
        while contents.more():
            state.follow(statuses, visit.names)
            self._pause()
        state.follow(statuses, visit.names, last=True)
        reading = contents.reading()
        if reading.digest and state.settled(len(visit.names)):
            self._catalogue.note(
                Record(
                    *(visit.path, state.digest(), reading.digest),
                    *(reading.files, reading.size, reading.sockets),
                )
            )
        return reading


class _Contents:
    """Takes what a visit's entries say."""

    def __init__(self, visit: Visit, digests: bool) -> None:
        self._visit = visit
        self._digests = digests
        self._items: list[Item] | None = []
        self._hash = blake3(b"" if visit.path else _ENCODER.encode(own_item(visit.fd)))
        self._count = self._size = 0

    def more(self) -> bool:
        """Take some more; False when there were none."""
        some = list(islice(self._visit.entries, _AT_ONCE))
        self._count += len(some)
        self._size += sum(map(_SIZE, some))
        if self._items is not None:
            self._items = self._items + some if self._count <= KEEP else None
        if self._digests:
            self._hash.update(_ENCODER.encode(some))
            self._digests = not any(map(_LINK, some))
        return bool(some)

    def reading(self) -> Reading:
        """All that was taken."""
        visit = self._visit
        digest = self._hash.digest(DIGEST) if self._digests and not visit.hidden else b""
        files = self._count - len(visit.below) - len(visit.mounts)
        return Reading(digest, self._items, files, self._size, visit.sockets)


def _unchanged(visit: Visit, record: Record) -> bool:
    """Whether a directory is in the recorded state; if so, its ``below`` is filled."""
    fd, names = visit.fd, visit.names
    state = _State(visit.status)
    below: list[bytes] = []
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        try:
            statuses = [os.stat(name, dir_fd=fd, follow_symlinks=False) for name in some]
        except OSError:
            return False
        state.add(some, statuses)
        below += [
            name
            for name, status in zip(some, statuses, strict=True)
            if status.st_mode & 0o170000 == stat.S_IFDIR and status.st_dev == visit.status.st_dev
        ]
    if state.digest() != record.state:
        return False
    visit.below += below
    return True


class _State:
    """The state of a directory: its names and what stat(2) says about them and about itself."""

    def __init__(self, own: os.stat_result) -> None:
        self._began = time.time_ns()
        self._newest = own.st_ctime_ns
        self._hash = blake3(_ENCODER.encode(_FACTS(own)))
        self._known = 0

    def add(self, names: list[bytes], statuses: list[os.stat_result]) -> None:
        """Add the next names, at most _AT_ONCE; fewer only at the end."""
        self._known += len(names)
        self._hash.update(_ENCODER.encode((names, [*map(_FACTS, statuses)])))

    def follow(self, statuses: list[os.stat_result], names: list[bytes], *, last: bool = False) -> None:
        """Add the statuses of the next of all ``names``, in whole portions, and take them from the list."""
        while len(statuses) >= _AT_ONCE or (last and statuses):
            some = statuses[:_AT_ONCE]
            del statuses[:_AT_ONCE]
            self._newest = max(self._newest, max(map(_CTIME, some)))
            self.add(names[self._known : self._known + len(some)], some)

    def settled(self, count: int) -> bool:
        """Whether all ``count`` names were added, and changed so long ago that the next change will show."""
        return self._known == count and self._newest < self._began - _RACY_NS

    def digest(self) -> bytes:
        """The digest of it all."""
        return self._hash.digest(DIGEST)
