"""Mirroring one tree: walk it beside the target's listing and pack what has to be done."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

from dtesx.mirror import content
from dtesx.mirror.comparing import Asker, Comparison
from dtesx.mirror.diff import Action, Links, Listings, decide, pair
from dtesx.mirror.files import FileSender
from dtesx.mirror.orphans import OrphanRule
from dtesx.mirror.packing import Packer
from dtesx.mirror.scan import Visit, WalkOptions, join, own_item, reason, walk
from dtesx.mirror.selection import Scope
from dtesx.mirror.tally import Tally
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.wire.items import Item
from dtesx.wire.operations import Finish, Link, Make, Remove

# Up to which size equal items mean that nothing is to be done about a file.
_TOLD = {Compare.NONE: -1, Compare.ATTRIBUTES: (1 << 63) - 1, Compare.DATA: content.SMALL}


@dataclass(slots=True)
class _Pending:
    """A directory that is not finished; ``changed`` when its metadata have to be (re)set at the end."""

    item: Item
    changed: bool


class TreeMirror:
    """Makes one target tree equal to the tree behind ``root`` (a directory descriptor).

    ``listings`` is what the target has, ``packer`` takes the operations, ``asker`` gets the sums of
    the target's files, ``tally`` counts and collects path problems. ``scope`` selects what is
    mirrored (None: all). ``pause`` is called at every directory and chunk and may raise to stop.
    """

    def __init__(
        self,
        root: int,
        listings: Listings,
        packer: Packer,
        asker: Asker,
        tally: Tally,
        *,
        scope: Scope | None = None,
        options: MirrorOptions,
        shown: bytes = b"",
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._listings = listings
        self._packer = packer
        self._tally = tally
        self._scope = scope
        self._options = options
        self._shown = shown.rstrip(b"/") + b"/"
        self._pause = pause
        self._orphans = OrphanRule(options.orphans, time.time_ns())
        self._links = Links()
        self._files = FileSender(packer, tally, pause, lambda: self._comparison.let_begin())
        self._comparison = Comparison(
            asker,
            self._files,
            packer,
            tally,
            in_place=options.in_place,
            replaced=self._replaced,
            failed=self._failed,
            pause=pause,
        )
        self._pending: dict[bytes, _Pending] = {}

    def run(self) -> None:
        """Walk the tree to its end; every operation has been handed to the packer afterwards."""
        try:
            self._run()
        finally:
            self._comparison.close()

    def _run(self) -> None:
        own = own_item(self._root)
        theirs = self._listings.root
        self._pending[b""] = _Pending(own, theirs is None or own != theirs)
        for visit in walk(self._root, self._walk_options()):
            self._pause()
            if visit.entered:
                self._visit(visit)
            else:
                self._finish(visit.path, visit.fd if visit.fd >= 0 else None)
        self._comparison.settle()
        for path in list(self._pending):  # directories that could not be entered
            self._finish(path, None)
        self._listings.drain()
        self._packer.flush()

    def _walk_options(self) -> WalkOptions:
        return WalkOptions(
            problem=self._problem,
            scope=self._scope,
            leftover=self._reserved,
            socket=self._socket,
            sums=self._options.compare is Compare.DATA,
        )

    def _problem(self, path: bytes, reason: str) -> None:
        self._tally.problem(self._shown + path, reason)

    def _socket(self) -> None:
        self._tally.sockets_skipped += 1

    def _reserved(self, _fd: int, name: bytes) -> None:
        self._tally.problem(self._shown + name, "this name is reserved for files in transit")

    def _visit(self, visit: Visit) -> None:
        tally, told = self._tally, _TOLD[self._options.compare]
        self._comparison.go_on()
        for source, target in pair(visit.entries, self._listings.take(visit.path)):
            if source is None:
                if target is not None and not visit.spares(target):
                    self._remove(visit, self._orphans.removal(target))
            elif source.mode & 0o170000 == stat.S_IFDIR:
                self._directory(visit, source, target)
            elif source == target and not source.link and source.size <= told:
                tally.files_skipped += 1
                tally.bytes_skipped += source.size
            else:
                self._name(visit, source, target)

    def _touched(self, path: bytes) -> None:
        self._pending[path].changed = True

    def _remove(self, visit: Visit, removal: Remove | None) -> None:
        if removal is not None:
            names = len(removal.name) + len(removal.move_to)
            self._packer.add(visit.path, removal, names=names)
            self._touched(visit.path)

    def _directory(self, visit: Visit, source: Item, target: Item | None) -> None:
        path = join(visit.path, source.name)
        if target is None or target.kind != stat.S_IFDIR:
            self._packer.add(visit.path, Make(_bare(source)), names=len(source.name))
            self._touched(visit.path)
            target = None
        self._pending[path] = _Pending(source, target is None or source != target)
        if source.name in visit.mounts:
            self._finish(path, None)

    def _finish(self, path: bytes, fd: int | None) -> None:
        """Give a directory its metadata, when all that is in it is done."""
        if not self._pending[path].changed and not self._comparison.busy(path):
            del self._pending[path]
            return
        try:
            flags = content.flags(fd) if fd is not None else -1
        except OSError as error:
            self._problem(path, reason(error))
            flags = -1
        self._comparison.after(path, lambda: self._settle(path, flags))

    def _settle(self, path: bytes, flags: int) -> None:
        pending = self._pending.pop(path)
        if not pending.changed:
            return
        try:
            self._packer.add(path, Finish(pending.item, flags), xattrs=pending.item.xattrs)
        except OSError as error:
            self._problem(path, reason(error))

    def _replaced(self, directory: bytes, item: Item) -> None:
        """A compared file took the place of the target's."""
        self._touched(directory)
        self._links.first(item.link, join(directory, item.name), 0)

    def _failed(self, directory: bytes, item: Item, error: OSError) -> None:
        self._links.forget(item.link)
        self._problem(join(directory, item.name), reason(error))

    def _name(self, visit: Visit, source: Item, target: Item | None) -> None:
        """Deal with one name that is no directory and not plainly unchanged."""
        path = join(visit.path, source.name)
        action, link = decide(source, target, path, self._links, self._options)
        tally = self._tally
        if action is Action.KEEP:
            tally.files_skipped += 1
            tally.bytes_skipped += source.size
            return
        if target is not None and target.kind == stat.S_IFDIR:
            self._remove(visit, self._orphans.make_way(target))
        try:
            if action is Action.LINK:
                self._packer.add(visit.path, Link(source.name, link), names=len(source.name) + len(link))
                tally.bytes_skipped += source.size
            elif action is Action.COMPARE and target is not None:
                self._comparison.add(visit, source, target)
                if source.link:  # what becomes of further names depends on it
                    self._comparison.settle()
                return
            elif action is Action.METADATA:
                self._files.adjust(visit, source)
                tally.bytes_skipped += source.size
            else:
                self._files.send(visit, source)
        except OSError as error:
            self._links.forget(source.link)
            self._problem(path, reason(error))
            return
        if action is not Action.METADATA:
            self._touched(visit.path)
        tally.files_sent += 1


def _bare(item: Item) -> Item:
    """A new directory's item: its owner's until Finish gives it its metadata."""
    return Item(item.name, stat.S_IFDIR | 0o700, item.uid, item.gid, item.mtime_ns)


def measure(root: int, scope: Scope | None, tally: Tally, pause: Callable[[], None]) -> None:
    """Add what is below ``root`` to the totals, quickly; problems are for the mirror to tell."""
    options = WalkOptions(problem=lambda _path, _reason: None, scope=scope, xattrs=False)
    for visit in walk(root, options):
        pause()
        for item in visit.entries:
            if item.mode & 0o170000 == stat.S_IFDIR:
                continue
            tally.files_total += 1
            tally.bytes_total += item.size
