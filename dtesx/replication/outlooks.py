"""What the roots of a place will hold when all epochs that wait there are applied, for those who answer."""

from __future__ import annotations

import errno
from collections.abc import Callable

import msgspec

from dtesx.apply.directories import Directories
from dtesx.apply.outlook import File, Outlook
from dtesx.mirror.scan import Scanner, WalkOptions
from dtesx.mirror.sums import BLOCK, PIECE, SUM, count_of
from dtesx.model.changes import Touch
from dtesx.wire.items import Item
from dtesx.wire.sums import ANY, Basis, Sums, SumsRequest

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)


class Outlooks:
    """One for each root that operations are about; ``root`` gives a root's descriptor from its name."""

    def __init__(self, root: Callable[[str], int]) -> None:
        self._root = root
        self._outlooks: dict[str, Outlook] = {}
        self._present: dict[str, _Present] = {}

    @property
    def names(self) -> int:
        """How many names are kept in memory."""
        return sum(outlook.names for outlook in self._outlooks.values())

    def of(self, root: str) -> Outlook:
        """That of one root."""
        if root not in self._outlooks:
            self._present[root] = present = _Present(self._root(root))
            self._outlooks[root] = Outlook(present.look)
        return self._outlooks[root]

    def clear(self) -> None:
        """Nothing waits any more."""
        for root, outlook in self._outlooks.items():
            outlook.clear()
            self._present[root].forget()

    def close(self) -> None:
        """Close everything."""
        while self._present:
            self._present.popitem()[1].close()

    def sums(self, root: str, request: SumsRequest) -> SumsRequest | Sums:
        """The answer to a request about a file that is still to come; else what to look at instead."""
        path = b"/".join(filter(None, (request.directory, request.name)))
        found = self.of(root).file(path)
        if isinstance(found, bytes):
            return request if found == path else _elsewhere(request, found)
        if found is None or request.chunks or (found.changed and found.item.link):
            return Sums(request.number)
        return _elsewhere(request, found.origin) if found.origin is not None else _all(request, found)


def _elsewhere(request: SumsRequest, path: bytes) -> SumsRequest:
    directory, _, name = path.rpartition(b"/")
    return msgspec.structs.replace(request, directory=directory, name=name)


def _all(request: SumsRequest, file: File) -> Sums:
    """All that was asked about differs: it is not known to be the same."""
    basis = Basis(ANY, file.item.size, 0)
    if not request.sums:
        return Sums(request.number, basis, (0,))
    count = count_of(request.length, BLOCK)
    there = max(0, min(request.length, basis.size - request.offset))
    pieces = there // BLOCK * count_of(BLOCK, PIECE) + count_of(there % BLOCK, PIECE)
    return Sums(request.number, basis, tuple(range(count)), bytes(pieces * SUM))


class _Present:
    """What a root holds now, behind a descriptor."""

    def __init__(self, root: int) -> None:
        self._scanner = Scanner(root, WalkOptions(problem=lambda _path, _reason: None))
        self._directories = Directories(root)

    def look(self, path: bytes) -> Item | None:
        """What is at a path; None: nothing. Raises OSError."""
        directory, _, name = path.rpartition(b"/")
        try:
            fd = self._directories.get(directory).fd
            visit = self._scanner.look(directory, fd, None, only={name: Touch.METADATA})
            return next(visit.entries, None)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise

    def forget(self) -> None:
        """Names may lead elsewhere by now."""
        self._directories.forget(b"")

    def close(self) -> None:
        """Close everything."""
        self._directories.close()
