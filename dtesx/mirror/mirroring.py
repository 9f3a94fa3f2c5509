"""Mirroring one tree: walk it beside the target's listing and pack what has to be done."""

from __future__ import annotations

import errno
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from dtesx.mirror import content
from dtesx.mirror.answers import Answers
from dtesx.mirror.comparing import Comparison, MoreNeeded
from dtesx.mirror.diff import Action, decide, pair
from dtesx.mirror.directories import Directories
from dtesx.mirror.files import FileSender
from dtesx.mirror.leading import NEVER, Ask, Lead, is_recent, may_be_another
from dtesx.mirror.orphans import OrphanRule
from dtesx.mirror.packing import FRAME_BLOB, Packer, weight_of
from dtesx.mirror.pieces import Piece
from dtesx.mirror.protection import may_protect, protection, scope_of
from dtesx.mirror.reading import Reader, Reading
from dtesx.mirror.replaced import Below
from dtesx.mirror.scan import Scanner, Visit, WalkOptions, own_item, reason
from dtesx.mirror.selection import Scope
from dtesx.mirror.state import changed_since
from dtesx.mirror.tally import Tally
from dtesx.mirror.view import View
from dtesx.mirror.window import Asker
from dtesx.model.changes import Touch
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.model.paths import join
from dtesx.model.spans import Spans
from dtesx.wire.items import Item, in_transit
from dtesx.wire.messages import Directory
from dtesx.wire.operations import Finish, Link, Make, Remove

# So many new files, with so many bytes of extended attributes each, go into one frame.
_AT_ONCE, _XATTRS = 1024, 2048
# Up to which size equal items mean that nothing is to be done about a file.
_TOLD = {Compare.NONE: -1, Compare.ATTRIBUTES: (1 << 63) - 1, Compare.DATA: content.SMALL}


@dataclass(slots=True)
class _Pending:
    """A directory that is not finished; ``changed`` when its metadata have to be (re)set at the end.

    ``item`` is None as long as nobody needed it.
    """

    item: Item | None
    changed: bool


@dataclass(slots=True)
class _New:
    """Small files that the target does not have, of one directory; ``size`` is that of their contents."""

    items: list[Item] = field(default_factory=list)
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether these are enough for a frame."""
        return self.size >= FRAME_BLOB or len(self.items) >= _AT_ONCE

    def takes(self, item: Item) -> bool:
        """Take a file, if it is of that kind; what else there is about a name is dealt with one by one."""
        if item.link or item.size > content.SMALL or item.mode & 0o170000 != stat.S_IFREG:
            return False
        if item.xattrs and weight_of(item.xattrs) > _XATTRS:
            return False
        self.items.append(item)
        self.size += item.size
        return True


class TreeMirror:
    """Makes one target tree equal to the tree behind ``root`` (a directory descriptor).

    The target is asked through ``ask`` what it has, which ``answers`` tell (see wire.messages.Answer),
    and through ``asker`` for the sums of its files. ``packer`` takes the operations, ``tally`` counts
    and collects path problems. ``view`` is what is looked at. With ``kept``, the target has the operations
    on disk before it carries them out. ``pause`` is called at every directory and chunk and may raise.
    """

    def __init__(
        self,
        root: int,
        ask: Ask,
        answers: Iterable[int | Directory],
        packer: Packer,
        asker: Asker,
        tally: Tally,
        *,
        options: MirrorOptions,
        view: View,
        kept: bool = False,
        shown: bytes = b"",
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._view = view
        self._answers = Answers(answers)
        self._packer = packer
        self._tally = tally
        self._options = options
        self._shown = shown.rstrip(b"/") + b"/"
        self._pause = pause
        self._orphans = OrphanRule(options.orphans, time.time_ns())
        self._piece = piece = view.piece or Piece()
        self._links = piece.links
        self._files = FileSender(packer, tally, pause, self._let_begin, kept=kept)
        self._comparison = Comparison(
            asker,
            self._files,
            packer,
            tally,
            in_place=options.in_place,
            kept=kept,
            bounded=view.bounded,
            replaced=self._replaced,
            failed=self._failed,
            pause=pause,
        )
        self._pending: dict[bytes, _Pending] = {}
        self._gone: dict[bytes, list[bytes]] = {}
        walking = self._walking()
        reader = Reader(view.catalogue, digests=options.compare is Compare.ATTRIBUTES, pause=pause)
        visits = piece.visits(root, walking, view.changed)
        self._lead = Lead(visits, reader, ask, doubtful=self._doubts, since=view.since)
        self._scanner = Scanner(root, walking)
        self._directories = Directories(root)

    def _doubts(self, visit: Visit) -> bool:
        """Whether something in a directory may differ although all that its digest covers is the same."""
        if visit.path and may_be_another(visit.status, self._view.since):
            self._view.replaced.add(Below((visit.path,)))  # what it holds is as old as it was
        return self._view.doubts(visit.path)

    def _walking(self) -> WalkOptions:
        return WalkOptions(
            problem=self._problem,
            scope=self._view.scope,
            reserved=self._reserved,
            vanished=self._vanished,
            remap=self._view.remap,
            sums=self._options.compare is Compare.DATA,
        )

    def run(self) -> None:
        """Walk the tree to its end; every operation has been handed to the packer afterwards."""
        with closing(self._directories), closing(self._comparison):
            if (protect := protection(self._view.scope)) is not None:
                self._packer.add(b"", protect, names=sum(len(rule.path) for rule in protect.rules))
            for stop in self._lead.stops():
                self._pause()
                if stop.reading is not None:
                    self._enter(stop.visit, stop.reading)
                else:
                    self._leave(stop.visit)
            self._comparison.settle()
            for path in list(self._pending):  # directories that could not be entered
                self._finish(path, entered=False)
        self._packer.flush()

    def _let_begin(self) -> None:
        self._comparison.let_begin()

    def _problem(self, path: bytes, reason: str) -> None:
        self._tally.problem(self._shown + path, reason)

    def _unreadable(self, path: bytes, error: OSError) -> None:
        """A directory could not be read: it has vanished, or that is a problem."""
        if error.errno == errno.ENOENT and path:
            self._vanished(path)
        else:
            self._problem(path, reason(error))

    def _vanished(self, path: bytes) -> None:
        directory, _, name = path.rpartition(b"/")
        self._gone.setdefault(directory, []).append(name)

    def _reserved(self, _fd: int, name: bytes) -> None:
        if not in_transit(name):  # which another replication puts here, and takes away again
            self._tally.problem(self._shown + name, "this name is reserved for files in transit")

    def _enter(self, visit: Visit, reading: Reading) -> None:
        path = visit.path
        self._tally.sockets_skipped += reading.sockets
        self._directories.followed.update(join(path, name) for name in visit.followed)
        theirs = self._answers.take(path)
        if theirs is None:
            self._tally.unchanged(reading.files, reading.size)
            return
        try:
            visit = self._again(visit, reading.items)
        except OSError as error:
            deque(theirs, maxlen=0)
            self._unreadable(path, error)
            return
        if not path:
            own = own_item(self._root)
            self._pending[path] = _Pending(own, visit.only is not None or own != self._answers.root)
        elif path not in self._pending:
            # Its times may have changed with nothing else to show for it: neither names that came and
            # went, nor, where the directory above it is not looked at, an Item.
            self._pending[path] = _Pending(None, path in self._view.changed.names)
        self._visit(visit, theirs, self._view.since if is_recent(reading, self._view.since) else NEVER)

    def _leave(self, visit: Visit) -> None:
        """Finish a directory, and before it those in it that are not to be entered yet."""
        for path in (*(join(visit.path, name) for name in visit.names), visit.path):
            if path in self._pending:
                self._finish(path)

    def _again(self, visit: Visit, items: list[Item] | None) -> Visit:
        """Look at a directory once more, after the walk went on."""
        visit.fd = self._directories.get(visit.path)
        if items is None:
            above = None if visit.top else visit.status.st_dev
            return self._scanner.look(visit.path, visit.fd, visit.scope, above=above, only=visit.only)
        visit.entries = iter(items)
        return visit

    def _visit(self, visit: Visit, theirs: Iterator[Item], since: int) -> None:
        tally, told = self._tally, _TOLD[self._options.compare]
        files = size = 0
        new, doubted = _New(), self._view.doubts(visit.path)
        self._comparison.go_on()
        for source, target in pair(visit.entries, theirs):
            if source is None:
                if target is not None and not visit.spares(target):
                    self._remove(visit.path, self._orphans.removal(target), visit.scope)
            elif source.mode & 0o170000 == stat.S_IFDIR:
                self._directory(visit, source, target)
            elif source.link and self._piece.defers:
                self._view.linked(source.link, join(visit.path, source.name))
            else:
                files += 1
                size += source.size
                written = doubted and self._view.may_differ(visit.path, source.name)
                written |= since != NEVER and changed_since(visit.fd, source.name, since)
                if source == target and not source.link and source.size <= told and not written:
                    tally.files_skipped += 1
                    tally.bytes_skipped += source.size
                elif target is None and new.takes(source):
                    if new.full:
                        self._new(visit, new)
                else:
                    self._name(visit, source, target, written=written)
        self._new(visit, new)
        tally.files_found += files
        tally.bytes_found += size

    def _new(self, visit: Visit, new: _New) -> None:
        """Send new files: those that are as they were when they were found all at once."""
        items, new.items, new.size = new.items, [], 0
        if items:
            self._touched(visit.path)
            self._pause()
        for item in self._files.send_new(visit, items):
            self._name(visit, item, None, written=False)

    def _touched(self, path: bytes) -> None:
        self._pending[path].changed = True

    def _remove(self, directory: bytes, removal: Remove | None, scope: Scope | None) -> None:
        """Have the target remove a name; ``scope`` is the directory's."""
        if removal is None:
            return
        if may_protect(scope, removal.name):
            removal = msgspec.structs.replace(removal, protected=True)
        self._packer.add(directory, removal, names=len(removal.name) + len(removal.move_to))
        self._touched(directory)

    def _directory(self, visit: Visit, source: Item, target: Item | None) -> None:
        path = join(visit.path, source.name)
        if target is None or target.kind != stat.S_IFDIR:
            self._packer.add(visit.path, Make(_bare(source)), names=len(source.name))
            self._touched(visit.path)
            target = None
        self._pending[path] = _Pending(source, target is None or source != target)
        if source.name in visit.mounts:
            self._finish(path, entered=False)

    def _finish(self, path: bytes, *, entered: bool = True) -> None:
        """Give a directory its metadata, when all that is in it is done."""
        if path in self._gone:
            self._clear_away(path)
        pending = self._pending[path]
        if not pending.changed and not self._comparison.busy(path):
            del self._pending[path]
            return
        flags = -1
        try:
            if entered or pending.item is None:
                fd = self._directories.get(path)
                pending.item = pending.item or own_item(fd)
                flags = content.flags(fd)
        except OSError as error:
            self._unreadable(path, error)
        self._comparison.after(path, lambda: self._settle(path, flags))

    def _clear_away(self, path: bytes) -> None:
        """The directories that vanished from ``path`` are orphans now."""
        self._comparison.settle()
        for name in self._gone.pop(path):
            below = join(path, name)
            if below in self._pending:
                self._finish(below, entered=False)
            orphan = Item(name, stat.S_IFDIR, 0, 0, 0)
            self._remove(path, self._orphans.removal(orphan), scope_of(path, self._view.scope))

    def _settle(self, path: bytes, flags: int) -> None:
        pending = self._pending.pop(path)
        if not pending.changed or pending.item is None:
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

    def _name(self, visit: Visit, source: Item, target: Item | None, *, written: bool) -> None:
        """Deal with one name that is no directory and not plainly unchanged.

        ``written``: its content may differ although its times do not.
        """
        path = join(visit.path, source.name)
        action, link = decide(source, target, path, self._links, self._options, written=written)
        tally = self._tally
        if source.link:
            self._view.linked(source.link, path)
        if action is Action.KEEP:
            tally.files_skipped += 1
            tally.bytes_skipped += source.size
            return
        if target is not None and target.kind == stat.S_IFDIR:
            self._remove(visit.path, self._orphans.make_way(target), visit.scope)
        try:
            if action is Action.LINK:
                self._packer.add(visit.path, Link(source.name, link), names=len(source.name) + len(link))
                tally.bytes_skipped += source.size
            elif action is Action.COMPARE and target is not None:
                self._comparison.add(visit, source, target, self._spans_of(path, visit, source))
                if source.link:  # what becomes of further names depends on it
                    self._comparison.settle()
                return
            elif action is Action.METADATA:
                self._files.adjust(visit, source)
                tally.bytes_skipped += source.size
            else:
                self._send(path, visit, source)
        except OSError as error:
            self._links.forget(source.link)
            self._unread(visit, path, target, error)
            return
        if action is not Action.METADATA:
            self._touched(visit.path)
        tally.files_sent += 1

    def _send(self, path: bytes, visit: Visit, source: Item) -> None:
        if self._view.bounded and path in self._view.changed.spans:
            raise MoreNeeded
        self._files.send(visit, source)

    def _spans_of(self, path: bytes, visit: Visit, source: Item) -> Spans | None:
        """The parts of a file that may differ; None: all of it. What has several names has several paths."""
        known = visit.only is not None and not source.link and Touch.APPEARED not in visit.only[source.name]
        return self._view.changed.spans.get(path) if known else None

    def _unread(self, visit: Visit, path: bytes, target: Item | None, error: OSError) -> None:
        """A name could not be read: it has vanished, or that is a problem."""
        if error.errno != errno.ENOENT:
            self._problem(path, reason(error))
        elif target is not None:
            self._remove(visit.path, self._orphans.removal(target), visit.scope)


def _bare(item: Item) -> Item:
    """A new directory's item: its owner's until Finish gives it its metadata."""
    return Item(item.name, stat.S_IFDIR | 0o700, item.uid, item.gid, item.mtime_ns)
