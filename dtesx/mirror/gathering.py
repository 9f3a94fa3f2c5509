"""Reading what changed of a tree that stands still for a moment: no more than has to be read then.

Content that is not small goes to files in memory at once; everything else is laid out later
(``still``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from dtesx.base.errors import DtesxError
from dtesx.mirror import content
from dtesx.mirror.ahead import WHOLE, Ahead, copy_parts, exactly
from dtesx.mirror.partial import walk_changed
from dtesx.mirror.scan import Visit, WalkOptions, is_mount_root, own_item
from dtesx.mirror.selection import Scope
from dtesx.model.changes import Changes, Touch
from dtesx.model.paths import join
from dtesx.model.spans import Spans
from dtesx.wire.items import Item

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
    """A name as it was. ``file`` is the name of its content in memory where ``data`` is not the content."""

    directory: bytes
    item: Item
    flags: int = -1
    atime_ns: int = 0
    data: bytes = b""
    file: bytes = b""


@dataclass
class Gathering:
    """What was read of one tree. ``files`` is a directory in memory, which has the content of ``Kept.file``.

    ``changes`` are those that were read, with the spans of files of which not all was. ``room`` is how
    many bytes of small files there may be. ``ahead`` has what was copied before the tree stood still.
    """

    files: int
    room: int
    ahead: Ahead
    changes: Changes = field(default_factory=Changes)
    directories: dict[bytes, Kept] = field(default_factory=dict)
    names: list[Kept] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)
    _late: Changes = field(default_factory=Changes)
    _pause: Callable[[], None] = field(default=lambda: None)

    def gather(
        self,
        root: int,
        scope: Scope | None,
        changes: Changes,
        late: Changes,
        pause: Callable[[], None],
    ) -> None:
        """Read the changed names of the tree behind ``root`` (a descriptor). Raises NotStill.

        ``late`` are those of ``changes`` that may have happened since ``ahead`` was made. ``pause`` is
        called often, and may raise.
        """
        if changes.everything or changes.blurred:
            raise unknown()
        self.changes.names, self._late, self._pause = changes.names, late, pause
        if is_mount_root(root):
            changes.names.get(b"", {}).pop(_LOST_AND_FOUND, None)
        options = WalkOptions(problem=_refuse, scope=scope)
        with closing(walk_changed(root, options, changes.names)) as visits:
            for visit in visits:
                self._pause()
                if visit.entered:
                    self._directory(visit, changes.spans)

    def _directory(self, visit: Visit, spans: dict[bytes, Spans]) -> None:
        directory, _, name = visit.path.rpartition(b"/")
        item = msgspec.structs.replace(own_item(visit.fd), name=name)
        self.directories[visit.path] = Kept(directory, item, content.flags(visit.fd))
        for number, item in enumerate(list(visit.entries)):
            if not number % 64:
                self._pause()
            kind = item.kind
            if item.name in visit.mounts:
                _refuse(join(visit.path, item.name), "another file system is mounted there")
            elif kind == stat.S_IFDIR:
                self.directories.setdefault(join(visit.path, item.name), Kept(visit.path, item))
            elif kind != stat.S_IFREG or (item.link and item.link in self._known):
                self.names.append(Kept(visit.path, item))
            else:
                self._regular(visit, item, spans)
            if item.link:
                self._known.add(item.link)

    def _regular(self, visit: Visit, item: Item, spans: dict[bytes, Spans]) -> None:
        path = join(visit.path, item.name)
        try:
            fd, status = content.open_with_status(item.name, visit.fd, item.link)
        except OSError as error:
            _refuse(path, error.strerror)
        try:
            flags = content.flags(fd)
            if content.is_small(status):
                data, file = content.read_whole(fd, status.st_size) if status.st_size else b"", b""
                self.room -= len(data)
                if self.room < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            else:
                data, file = b"", self._large(fd, status, path, self._parts(visit, item, spans))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NotStill(
                    "more changed than may be kept in memory", hint="make epochs shorter (--epoch)"
                ) from error
            _refuse(path, error.strerror)
        finally:
            os.close(fd)
        self.names.append(Kept(visit.path, item, flags, status.st_atime_ns, data, file))

    def _parts(self, visit: Visit, item: Item, spans: dict[bytes, Spans]) -> Spans | None:
        """The parts of a large file that are to be read; None: all of it."""
        touch = visit.only[item.name] if visit.only is not None else Touch.APPEARED
        if item.link or item.size <= WHOLE or Touch.APPEARED in touch:
            return None
        if Touch.CONTENT in touch:
            return spans.get(join(visit.path, item.name))
        return ()  # its content is what it was

    def _large(self, fd: int, status: os.stat_result, path: bytes, spans: Spans | None) -> bytes:
        size = status.st_size
        if spans is not None:
            self.changes.spans[path] = spans
            taken = self.ahead.take(path, status, self._late)
            if taken is not None:
                copy, late = taken
                copy_parts(fd, copy.file, self.files, status, exactly(late, size), self._pause)
                return copy.file
        # What the target has of a file that grew is compared from its beginning.
        parts = [(0, size)] if spans is None else exactly(spans, size)
        name = b"%d" % len(self.names)
        copy_parts(fd, name, self.files, status, parts, self._pause)
        return name


def _refuse(path: bytes, why: str | None) -> None:
    raise NotStill(
        f"{os.fsdecode(path) or '.'} could not be read: {why}", hint="look at the path on the source"
    )
