"""Verifying one tree: walk it beside the target's listing and report what is not the same."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from dtesx.mirror.content import SMALL
from dtesx.mirror.data_check import Compared, DataCheck
from dtesx.mirror.diff import Listings, pair
from dtesx.mirror.differences import HardLinks, differences, kind
from dtesx.mirror.protection import Protected
from dtesx.mirror.scan import Visit, WalkOptions, own_item, reason
from dtesx.mirror.selection import Scope
from dtesx.mirror.tally import MAX_PROBLEMS, readable
from dtesx.mirror.walking import walk
from dtesx.mirror.window import Asker
from dtesx.model.paths import join
from dtesx.model.stats import PathProblem
from dtesx.model.verify import Aspect, Difference, FileState, Finding, VerifyStats
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory

Report = Callable[[Finding], None]
"""Takes each name that is not the same, as soon as it is known to be."""


class Totals:
    """Running totals of a verification; ``stats()`` is their present state."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._counts = dict.fromkeys(FileState, 0)
        self._problems: list[PathProblem] = []
        self.bytes_total = 0
        self.bytes_compared = 0
        self.bytes_different = 0
        self.orphan_bytes = 0
        self.sockets_skipped = 0
        self.problems_total = 0

    def count(self, state: FileState) -> None:
        """Count a name."""
        self._counts[state] += 1

    def problem(self, path: bytes, reason: str) -> None:
        """Note a path that could not be verified."""
        self.problems_total += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(PathProblem(readable(path), reason))

    def stats(self) -> VerifyStats:
        """The totals now."""
        counts = self._counts
        return VerifyStats(
            names_total=counts[FileState.SAME] + counts[FileState.MISSING] + counts[FileState.DIFFERENT],
            same=counts[FileState.SAME],
            missing=counts[FileState.MISSING],
            different=counts[FileState.DIFFERENT],
            orphans=counts[FileState.ORPHAN],
            bytes_total=self.bytes_total,
            bytes_compared=self.bytes_compared,
            bytes_different=self.bytes_different,
            orphan_bytes=self.orphan_bytes,
            sockets_skipped=self.sockets_skipped,
            seconds=self._clock() - self._started,
            problems=tuple(self._problems),
            problems_total=self.problems_total,
        )


class TreeVerify:
    """Compares the tree behind ``root`` (a directory descriptor) with a target's listing.

    With ``asker``, the way to the target's sums, contents are compared, too; the listing must then
    hold the sums of small files. ``report`` gets every name that is not the same; ``totals``
    counts. ``remap`` turns the text of symlinks into the replica's (mirror.remap). ``pause`` is
    called at every directory and at pieces of large files and may raise to stop.
    """

    def __init__(
        self,
        root: int,
        directories: Iterable[Directory],
        totals: Totals,
        *,
        report: Report,
        asker: Asker | None = None,
        scope: Scope | None = None,
        remap: Callable[[bytes], bytes] | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._totals = totals
        self._report = report
        self._scope = scope
        self._remap = remap
        self._pause = pause
        self._data = DataCheck(asker, pause) if asker is not None else None
        self._links = HardLinks()
        self._lost: set[bytes] = set()
        self._protected = Protected(scope)
        self._listings = Listings(self._below_orphans(directories))

    def run(self) -> None:
        """Walk the tree to its end."""
        try:
            self._directory(own_item(self._root), self._listings.root, b"")
            for visit in walk(self._root, self._walking()):
                self._pause()
                if visit.entered:
                    self._visit(visit)
            self._listings.drain()
            if self._data is not None:
                self._data.settle()
        finally:
            if self._data is not None:
                self._data.close()

    def _walking(self) -> WalkOptions:
        return WalkOptions(
            problem=self._totals.problem,
            scope=self._scope,
            remap=self._remap,
            sums=self._data is not None,
        )

    def _visit(self, visit: Visit) -> None:
        for source, target in pair(visit.entries, self._listings.take(visit.path)):
            if source is None:
                if target is not None and not visit.spares(target):
                    self._orphan(join(visit.path, target.name), target)
                continue
            path = join(visit.path, source.name)
            if target is not None and target.kind == stat.S_IFDIR and source.kind != stat.S_IFDIR:
                self._lost.add(path)
            if source.kind == stat.S_IFDIR:
                self._directory(source, target, path)
            else:
                self._totals.bytes_total += source.size
                self._name(visit, source, target, path)
        self._totals.sockets_skipped += visit.sockets

    def _directory(self, source: Item, target: Item | None, path: bytes) -> None:
        found = differences(source, target) if target is not None else ()
        self._conclude(path, source, target, found, 0)

    def _name(self, visit: Visit, source: Item, target: Item | None, path: bytes) -> None:
        if target is None:
            self._conclude(path, source, None, (), source.size)
            return
        found = differences(source, target)
        if source.kind == target.kind and not self._links.agree(source, target, path):
            found += (Difference(Aspect.HARD_LINKS, "one file", "another file"),)
        if self._data is None or source.kind != stat.S_IFREG or target.kind != stat.S_IFREG:
            self._conclude(path, source, target, found, source.size if _to_be_sent(found) else 0)
        elif source.size > SMALL and target.size:
            self._compare(visit, source, target, path, found)
        else:
            unlike = (source.size, source.sum) != (target.size, target.sum)
            different = source.size if unlike else 0
            self._compared(path, source, target, found, Compared(source.size, different))

    def _compare(
        self, visit: Visit, source: Item, target: Item, path: bytes, found: tuple[Difference, ...]
    ) -> None:
        assert self._data is not None

        def done(compared: Compared) -> None:
            self._compared(path, source, target, found, compared)

        try:
            self._data.add(visit, source, target, done)
        except OSError as error:
            done(Compared(0, 0, reason(error)))

    def _compared(
        self, path: bytes, source: Item, target: Item, found: tuple[Difference, ...], compared: Compared
    ) -> None:
        self._totals.bytes_compared += compared.total
        if compared.failed:
            self._totals.problem(path, compared.failed)
        if compared.different:
            text = f"{compared.different} of {compared.total} bytes are in blocks that differ"
            found += (Difference(Aspect.DATA, text, ""),)
        self._conclude(path, source, target, found, compared.different)

    def _conclude(
        self, path: bytes, source: Item, target: Item | None, found: tuple[Difference, ...], size: int
    ) -> None:
        state = FileState.DIFFERENT if found else FileState.SAME
        if target is None:
            state = FileState.MISSING
        self._totals.count(state)
        if state is FileState.SAME:
            return
        self._totals.bytes_different += size
        finding = _finding(path, source, state)
        self._report(replace(finding, differences=found, bytes_different=size))

    def _orphan(self, path: bytes, target: Item) -> None:
        self._totals.count(FileState.ORPHAN)
        self._totals.orphan_bytes += target.size
        if target.kind == stat.S_IFDIR:
            self._lost.add(path)
        self._report(_finding(path, target, FileState.ORPHAN))

    def _below_orphans(self, directories: Iterable[Directory]) -> Iterator[Directory]:
        """Pass the listing on, and report what is in directories that only the target has.

        Such a directory is listed after its parent, whose names have been compared by then.
        """
        for directory in directories:
            if directory.path in self._lost:
                for item in directory.items:
                    path = join(directory.path, item.name)
                    if not self._protected.is_protected(path, item.mode):
                        self._orphan(path, item)
            yield directory


_CONTENT = frozenset({Aspect.KIND, Aspect.SIZE, Aspect.MODIFIED, Aspect.HARD_LINKS})


def _to_be_sent(found: tuple[Difference, ...]) -> bool:
    return any(difference.aspect in _CONTENT for difference in found)


def _finding(path: bytes, item: Item, state: FileState) -> Finding:
    return Finding(readable(path), kind(item), state, item.size, item.mtime_ns / 1e9)
