"""Keeping hints small: what changes are held of a root takes bounded memory, whatever happens there.

Where there is too much, parts of files become whole files, and names become the directory that they
are in, with all below it; at last all of the root. What is told of less exactly is looked at more
widely, so nothing is lost by it but time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from dtesx.model.changes import ANYTHING, Changes, Touch
from dtesx.model.spans import Spans

# What CPython takes for them, beside the bytes of names and paths (sys.getsizeof, with room to grow).
_NAME = 150
_DIRECTORY = 450
_FILE = 250
_SPAN = 130
_MOVE = 200
_INODE = 100

_BLOCK = 4096


def weight(changes: Changes) -> int:
    """The bytes of memory that hints take, rather too many than too few."""
    names = sum(_weight_of(path, some) for path, some in changes.names.items())
    spans = sum(_weight_of_spans(path, some) for path, some in changes.spans.items())
    moves = sum(_MOVE + len(old) + len(new) for old, new in changes.moved)
    return names + spans + moves + _INODE * len(changes.inodes)


def volume(changes: Changes) -> int:
    """The bytes that are to be sent, as far as that is known: where it is not, a block for each name."""
    names = sum(map(len, changes.names.values()))
    return _BLOCK * names + sum(end - start for spans in changes.spans.values() for start, end in spans)


def blur(changes: Changes, limit: int) -> None:
    """Have hints take at most ``limit`` bytes (see ``weight``); they cover all that they did before."""
    excess = weight(changes) - limit
    if excess <= 0:
        return
    changes.moved.clear()
    excess = weight(changes) - limit
    for path in sorted(changes.spans, key=lambda path: -len(changes.spans[path])):
        if excess <= 0:
            return
        excess -= _weight_of_spans(path, changes.spans.pop(path))
    if excess > 0:
        changes.blurred = True
        if not _merge(changes, excess):
            changes.names.clear()
            changes.inodes.clear()
            changes.everything = True


def _merge(changes: Changes, excess: int) -> bool:
    """Have directories stand for the names in and below them; False when that is not enough."""
    tree = _Tree(changes.names)
    heap = [_rank(path, changes.names[path]) for path in changes.names if path]
    heapq.heapify(heap)
    while excess > 0 and heap:
        rank = heapq.heappop(heap)
        path = rank[-1]
        if path not in changes.names or rank != _rank(path, changes.names[path]):
            continue  # it is in one that was merged, or has become larger
        for each in tree.take(path):
            excess -= _weight_of(each, changes.names.pop(each)) if each in changes.names else 0
        above, _, name = path.rpartition(b"/")
        before = _weight_of(above, changes.names[above]) if above in changes.names else 0
        changes.touch(above, name, ANYTHING)
        excess += _weight_of(above, changes.names[above]) - before
        if above:
            tree.add(above)
            heapq.heappush(heap, _rank(above, changes.names[above]))
    return excess <= 0


def _rank(path: bytes, names: dict[bytes, Touch]) -> tuple[int, int, bytes]:
    """Sorts first what holds most; among the like, what is deepest, of which least is looked at in vain."""
    return -_weight_of(path, names).bit_length(), -path.count(b"/"), path


class _Tree:
    """Which directories are below which."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._below: dict[bytes, set[bytes]] = {}
        for path in paths:
            self.add(path)

    def add(self, path: bytes) -> None:
        while path and path not in self._below.setdefault(above := path.rpartition(b"/")[0], set()):
            self._below[above].add(path)
            path = above

    def take(self, path: bytes) -> Iterator[bytes]:
        """Remove a directory and yield it, with all that are below it."""
        self._below.get(path.rpartition(b"/")[0], set()).discard(path)
        waiting = [path]
        while waiting:
            path = waiting.pop()
            waiting += self._below.pop(path, ())
            yield path


def _weight_of(path: bytes, names: dict[bytes, Touch]) -> int:
    return _DIRECTORY + len(path) + sum(map(len, names)) + _NAME * len(names)


def _weight_of_spans(path: bytes, spans: Spans) -> int:
    return _FILE + len(path) + _SPAN * len(spans)
