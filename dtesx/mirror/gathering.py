"""Reading what changed of a tree, most of it before the tree stands still: little is left to read then.

Content that is not small goes to files in memory at once; everything else is laid out later
(``still``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import msgspec

from dtesx.base.errors import DtesxError
from dtesx.mirror import content
from dtesx.mirror.copying import copy_parts, exactly
from dtesx.mirror.partial import walk_changed
from dtesx.mirror.scan import Visit, WalkOptions, is_mount_root, own_item, reason
from dtesx.mirror.selection import Scope
from dtesx.model.changes import ANYTHING, Changes, Touch
from dtesx.model.paths import join, upwards
from dtesx.model.spans import Spans, merge
from dtesx.wire.items import Item

WHOLE = 1 << 20
"""Files of up to so many bytes are read whole."""

_LOST_AND_FOUND = b"lost+found"


class NotStill(DtesxError):
    """What changed could not be read as it was at one moment; ``message`` says why."""

    code = "not-still"
    recoverable = True


def unknown() -> NotStill:
    """It is not known what changed, so all would have to be read."""
    return NotStill("it is not known what changed", hint="later epochs may be consistent again")


@dataclass(frozen=True, slots=True)
class Kept:
    """A name as it was. ``file`` is the name of its content in memory where ``data`` is not the content.

    ``inode`` is the original's, of a file with one name.
    """

    directory: bytes
    item: Item
    flags: int = -1
    atime_ns: int = 0
    data: bytes = b""
    file: bytes = b""
    inode: int = 0


class Gathering:
    """What was read of one tree: by several calls, of which each reads what changed since the one before.

    ``files`` is a directory in memory, which has the content of ``Kept.file``; ``room`` is how many bytes
    of small files there may be. ``linked`` are the files with several names, by their link number; what is
    kept by these names is bare.
    """

    def __init__(self, files: int, room: int) -> None:
        self.files = files
        self.changes = Changes()
        """What was read, with the spans of files of which not all was."""
        self.directories: dict[bytes, Kept] = {}
        self.linked: dict[int, Kept] = {}
        self._names: dict[bytes, dict[bytes, Kept]] = {}
        self._room = room
        self._made = 0
        self._unread = Changes()

    @property
    def names(self) -> Iterator[Kept]:
        """What is no directory."""
        for names in self._names.values():
            yield from names.values()

    def gather(
        self, root: int, scope: Scope | None, changes: Changes, pause: Callable[[], None], *, still: bool
    ) -> None:
        """Read the changed names of the tree behind ``root`` (a descriptor). Raises NotStill.

        What changes after the call began has to be among the ``changes`` of the next one, which must be
        ``still``: nothing changes. Before, what cannot be read is left to the next call. ``pause`` is called
        often, and may raise; then nothing that was read is worth anything.
        """
        if changes.everything or changes.blurred:
            raise unknown()
        told, self._unread = self._unread, Changes()
        told.add(changes)
        if is_mount_root(root):
            told.names.get(b"", {}).pop(_LOST_AND_FOUND, None)
        appeared = set()
        for directory, names in told.names.items():
            self.changes.names.setdefault(directory, {})
            for name, touch in names.items():
                self.changes.touch(directory, name, touch)
                if Touch.APPEARED in touch:
                    appeared.add(join(directory, name))
        self.drop(appeared)
        options = WalkOptions(problem=_refuse if still else self._leave, scope=scope)
        round_ = _Round(self, told.spans, pause, options.problem)
        with closing(walk_changed(root, options, told.names)) as visits:
            for visit in visits:
                pause()
                if visit.entered:
                    round_.visit(visit)
        self.drop(round_.gone)

    def keep(self, kept: Kept) -> None:
        """Keep a name that is no directory; raises OSError when there is no room for it."""
        self._room -= len(kept.data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if kept.item.link:
            self.release(self.linked.get(kept.item.link))
            self.linked[kept.item.link] = kept
            self.keep_name(kept.directory, kept.item)
        else:
            self._names.setdefault(kept.directory, {})[kept.item.name] = kept

    def keep_name(self, directory: bytes, item: Item) -> None:
        """Keep a further name of a file that is in ``linked``."""
        self._names.setdefault(directory, {})[item.name] = Kept(directory, item)

    def take(self, directory: bytes, names: Iterable[bytes]) -> dict[bytes, Kept]:
        """Take out some names of a directory, as far as they are kept."""
        known = self._names.get(directory, {})
        return {name: known.pop(name) for name in names if name in known}

    def drop(self, paths: set[bytes]) -> None:
        """Forget these directories with all that is below them."""
        for path in [path for path in self.directories if not paths.isdisjoint(upwards(path))]:
            del self.directories[path]
            for kept in self._names.pop(path, {}).values():
                self.release(kept)

    def release(self, kept: Kept | None) -> None:
        """Forget the content of what is kept no more."""
        if kept is not None:
            self._room += len(kept.data)
            if kept.file:
                os.unlink(kept.file, dir_fd=self.files)

    def new_file(self) -> bytes:
        """A name for a file in memory."""
        self._made += 1
        return b"%d" % self._made

    def _leave(self, path: bytes, _why: str) -> None:
        directory, _, name = path.rpartition(b"/")
        self._unread.touch(directory, name, ANYTHING)


class _Round:
    """Reads directories into ``gathering``; ``spans`` are the parts of files that changed.

    ``problem`` is told path and reason of what cannot be read. ``gone`` are the names that are no
    directories now.
    """

    def __init__(
        self,
        gathering: Gathering,
        spans: dict[bytes, Spans],
        pause: Callable[[], None],
        problem: Callable[[bytes, str], None],
    ) -> None:
        self._gathering = gathering
        self._spans = spans
        self._pause = pause
        self._problem = problem
        self._links: set[int] = set()
        self.gone: set[bytes] = set()

    def visit(self, visit: Visit) -> None:
        """Read the names of a directory that are to be looked at."""
        directory, _, name = visit.path.rpartition(b"/")
        item = msgspec.structs.replace(own_item(visit.fd), name=name)
        gathering = self._gathering
        gathering.directories[visit.path] = Kept(directory, item, content.flags(visit.fd))
        before = gathering.take(visit.path, visit.names)
        for number, item in enumerate(list(visit.entries)):
            if not number % 64:
                self._pause()
            if item.name in visit.mounts:
                self._problem(join(visit.path, item.name), "another file system is mounted there")
            elif item.kind == stat.S_IFDIR:
                path = join(visit.path, item.name)
                known = gathering.directories.get(path)
                gathering.directories[path] = Kept(visit.path, item, known.flags if known is not None else -1)
            else:
                self._name(visit, item, before.pop(item.name, None))
        for kept in before.values():
            gathering.release(kept)
        if visit.only is not None:
            self.gone.update(join(visit.path, name) for name in set(visit.only).difference(visit.below))

    def _name(self, visit: Visit, item: Item, before: Kept | None) -> None:
        if item.link and item.link in self._links:
            self._gathering.release(before)
            self._gathering.keep_name(visit.path, item)
            return
        if item.kind == stat.S_IFREG:
            self._regular(visit, item, before)
        else:
            self._gathering.release(before)
            self._gathering.keep(Kept(visit.path, item))
        if item.link:
            self._links.add(item.link)

    def _regular(self, visit: Visit, item: Item, before: Kept | None) -> None:
        path = join(visit.path, item.name)
        try:
            fd, status = content.open_with_status(item.name, visit.fd, item.link)
            try:
                kept = self._content(fd, status, visit, item, before)
            finally:
                os.close(fd)
            self._gathering.keep(kept)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NotStill(
                    "more changed than may be kept in memory", hint="make epochs shorter (--epoch)"
                ) from error
            self._problem(path, reason(error))

    def _content(
        self, fd: int, status: os.stat_result, visit: Visit, item: Item, before: Kept | None
    ) -> Kept:
        path, gathering = join(visit.path, item.name), self._gathering
        flags, data, file = content.flags(fd), b"", b""
        if content.is_small(status):
            gathering.release(before)
            gathering.changes.spans.pop(path, None)
            data = content.read_whole(fd, status.st_size) if status.st_size else b""
        else:
            parts = self._parts(visit, item, status, before)
            file = self._large(fd, status, path, parts, before)
        return Kept(visit.path, item, flags, status.st_atime_ns, data, file, status.st_ino)

    def _parts(self, visit: Visit, item: Item, status: os.stat_result, before: Kept | None) -> Spans | None:
        """The parts of a large file that are to be read; None: all of it."""
        touch = visit.only[item.name] if visit.only is not None else Touch.APPEARED
        if item.link or status.st_size <= WHOLE or Touch.APPEARED in touch:
            return None
        if before is not None and (not before.file or before.inode != status.st_ino):
            return None
        if Touch.CONTENT in touch:
            return self._spans.get(join(visit.path, item.name))
        return ()  # its content is what it was

    def _large(
        self, fd: int, status: os.stat_result, path: bytes, parts: Spans | None, before: Kept | None
    ) -> bytes:
        """Copy parts of a file (None: all) to memory, over those that are there; returns where they are."""
        gathering, size = self._gathering, status.st_size
        spans = gathering.changes.spans
        if parts is None:
            gathering.release(before)
            before = None
            spans.pop(path, None)
        elif before is None:
            spans[path] = parts
        elif path in spans:
            spans[path] = merge((*spans[path], *parts))
        file = before.file if before is not None else gathering.new_file()
        # What the target has of a file that grew is compared from its beginning.
        wanted = [(0, size)] if parts is None else exactly(parts, size)
        copy_parts(fd, file, gathering.files, status, wanted, self._pause)
        return file


def _refuse(path: bytes, why: str) -> None:
    raise NotStill(
        f"{os.fsdecode(path) or '.'} could not be read: {why}", hint="look at the path on the source"
    )
