"""Reading directories as digests: two trees with the same digests are the same to a mirror.

A directory's content digest covers all that Items say about its names (of the root also about
itself). Where the catalogue has the directory in the very same state, the digest is known from
there, and no extended attribute is read and no Item is made.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from operator import attrgetter

import msgspec
from blake3 import blake3

from dtesx.mirror.catalogue import DIGEST, Catalogue, Record
from dtesx.mirror.scan import Visit, own_item
from dtesx.mirror.state import State, look
from dtesx.wire.items import Item

KEEP = 4096
"""So many Items of a directory are kept in memory; a larger one is read again when they are needed."""

_AT_ONCE = 1024
_SIZE, _LINK = attrgetter("size"), attrgetter("link")
_ENCODER = msgspec.msgpack.Encoder()


class Reading(msgspec.Struct, frozen=True, eq=False):
    """What a directory holds.

    ``digest`` is empty where it must be compared name by name. ``items`` is None when they were not
    made or are too many. ``files`` are all names but directories and sockets, ``size`` their bytes.
    ``newest`` is the latest ctime (nanoseconds) in it where that is known.
    """

    digest: bytes
    items: list[Item] | None
    files: int = 0
    size: int = 0
    sockets: int = 0
    newest: int | None = None


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
            if record is not None and (newest := _unchanged(visit, record)) is not None:
                catalogue.note(record)
                counts = record.files, record.size, record.sockets
                return Reading(record.content, None, *counts, newest)
        return self._read(visit)

    def _read(self, visit: Visit) -> Reading:
        contents = _Contents(visit, self._digests and visit.only is None)
        if self._catalogue is None or not visit.plain:
            while contents.more():
                self._pause()
            return contents.reading()
        visit.state = state = State(visit.status, visit.names)
        while contents.more():
            self._pause()
        reading = contents.reading()
        if reading.digest and state.settled:
            self._catalogue.note(
                Record(
                    *(visit.path, state.digest(), reading.digest),
                    *(reading.files, reading.size, reading.sockets),
                )
            )
        return msgspec.structs.replace(reading, newest=state.newest)


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


def _unchanged(visit: Visit, record: Record) -> int | None:
    """If a directory is in the recorded state, the latest ctime in it; its ``below`` is filled then."""
    state = State(visit.status, visit.names)
    below = look(state, visit.fd, visit.names, visit.status.st_dev)
    if below is None or state.digest() != record.state:
        return None
    visit.below += below
    return state.newest
