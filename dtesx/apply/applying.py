"""Carrying out operations below one root. The peer's word is checked; a failing path is only told."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dtesx.apply import metadata
from dtesx.apply.copying import Original, open_basis, write_at
from dtesx.apply.directories import Directories, OpenDirectory
from dtesx.apply.errors import check_fatal
from dtesx.apply.journal import Journal
from dtesx.apply.names import check_name, components
from dtesx.apply.removal import remove, unlocked
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import TEMPORARY_PREFIX, Item
from dtesx.wire.operations import (
    Abort,
    Adjust,
    Begin,
    Copy,
    Data,
    End,
    Enter,
    Finish,
    Hole,
    Link,
    Make,
    Operation,
    Put,
    Remove,
)

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)
_MAX_SIZE = (1 << 63) - 1
_EMPTY = memoryview(b"")


@dataclass(slots=True)
class _Begun:
    """A file that comes in pieces: ``fd`` is -1 when it could not be begun and is being ignored.

    ``old`` is the file that pieces are copied from; with ``journal``, ``fd`` is that file
    itself, which changes when all pieces are there.
    """

    directory: bytes
    name: bytes
    fd: int
    temporary: bytes
    old: Original | None = None
    journal: Journal | None = None

    def close(self) -> None:
        """Close the files; what is still to come is ignored."""
        if self.fd >= 0:
            os.close(self.fd)
        if self.old is not None:
            self.old.close()
        self.fd, self.old = -1, None


class Applier:
    """Applies operations below ``root`` (a directory descriptor), one after the other.

    ``problem`` gets path and reason of what failed for one path. ``apply`` raises TargetFull or
    DtesxError when the file system takes nothing more, ProtocolError when the peer asks for
    something impossible; afterwards only ``close`` may be called.
    """

    def __init__(self, root: int, problem: Callable[[bytes, str], None]) -> None:
        self.files = 0
        self.content_bytes = 0
        self.removed = 0
        self._problem = problem
        self._directories = Directories(root)
        self._here: OpenDirectory | None = self._directories.get(b"")
        self._path = b""
        self._stale = False
        self._begun: _Begun | None = None
        self._session = secrets.token_hex(4).encode()
        self._temporaries = 0
        self._handlers: dict[type[Operation], Callable[..., None]] = {
            Make: self._make,
            Put: self._put,
            Begin: self._begin,
            Data: self._data,
            End: self._end,
            Abort: self._abort,
            Link: self._link,
            Adjust: self._adjust,
            Remove: self._remove,
            Finish: self._finish,
            Copy: self._copy,
            Hole: self._hole,
        }

    def apply(self, operations: Sequence[Operation], blob: memoryview) -> None:
        """Carry out the operations of one frame; ``blob`` must hold exactly their content."""
        at = 0
        for operation in operations:
            if isinstance(operation, Enter):
                self._enter(operation.path)
                continue
            data = _EMPTY
            if isinstance(operation, (Put, Data)):
                size = operation.item.size if isinstance(operation, Put) else operation.length
                data = blob[at : at + size]
                at += size
                if size < 0 or at > len(blob):
                    raise ProtocolError("an operation names more content than its frame holds")
            if self._stale:
                self._enter(self._path)
            if self._here is not None:
                self._one(operation, data)
            else:
                self._ignore(operation)
        if at != len(blob):
            raise ProtocolError("a frame holds content that no operation names")

    def close(self) -> None:
        """Drop what is unfinished and close everything."""
        self._drop_begun()
        self._directories.close()

    def _one(self, operation: Operation, data: memoryview) -> None:
        handler = self._handlers[type(operation)]
        try:
            try:
                handler(operation, data)
            except PermissionError:
                if not self._unlock(operation):
                    raise
                handler(operation, data)
        except OSError as error:
            path = self._path_of(operation)
            check_fatal(error, path.decode(errors="backslashreplace"))
            self._problem(path, error.strerror or str(error))
            if isinstance(operation, (Data, Copy, Hole)):
                self._give_up_begun()
            elif isinstance(operation, End):
                self._drop_begun()

    def _ignore(self, operation: Operation) -> None:
        """Follow the stream in a directory that is not to be had, without doing anything."""
        if isinstance(operation, Begin):
            self._begun = _Begun(self._path, check_name(operation.name), -1, b"")
        elif isinstance(operation, (End, Abort)):
            self._drop_begun()

    def _unlock(self, operation: Operation) -> bool:
        assert self._here is not None
        return unlocked(self._here.fd, _name_of(operation) or b".")

    def _path_of(self, operation: Operation) -> bytes:
        name = _name_of(operation)
        if not name and self._begun is not None:
            name = self._begun.name
        return b"/".join(part for part in (self._path, name) if part)

    def _complain(self, path: bytes) -> Callable[[str], None]:
        return lambda reason: self._problem(path, reason)

    def _enter(self, path: bytes) -> None:
        self._path, self._stale = path, False
        try:
            self._here = self._directories.get(path)
        except OSError as error:
            check_fatal(error, path.decode(errors="backslashreplace"))
            self._here = None
            self._problem(path, f"{error.strerror} on the target; what is below it was left out")

    def _there(self) -> OpenDirectory:
        assert self._here is not None
        return self._here

    def _temporary(self) -> bytes:
        self._temporaries += 1
        return b"%s%s.%x" % (TEMPORARY_PREFIX, self._session, self._temporaries)

    # One method per operation.

    def _make(self, operation: Make, _data: memoryview) -> None:
        item, here = operation.item, self._there()
        name = check_name(item.name)
        self.files += 1
        if item.kind == stat.S_IFDIR:
            self._make_directory(here, name)
            return
        if item.kind not in _SPECIAL:
            raise ProtocolError(f"impossible kind of file: mode {item.mode:o}")
        try:
            self._make_special(here.fd, name, item)
            self._settle_at(here, name, item)
        except FileExistsError:
            temporary = self._temporary()
            self._make_special(here.fd, temporary, item)
            self._settle_at(here, temporary, item)
            self._take_place(here, temporary, name)

    def _make_directory(self, here: OpenDirectory, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=here.fd)
        except FileExistsError:
            status = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                return
            os.unlink(name, dir_fd=here.fd)
            os.mkdir(name, 0o700, dir_fd=here.fd)

    def _make_special(self, directory: int, name: bytes, item: Item) -> None:
        if item.kind == stat.S_IFLNK:
            if not item.target or b"\0" in item.target:
                raise ProtocolError("impossible symlink target")
            os.symlink(item.target, name, dir_fd=directory)
        else:
            os.mknod(name, item.kind | 0o600, item.rdev, dir_fd=directory)

    def _put(self, operation: Put, data: memoryview) -> None:
        item, here = operation.item, self._there()
        name = check_name(item.name)
        if item.kind != stat.S_IFREG:
            raise ProtocolError(f"impossible kind of file: mode {item.mode:o}")
        temporary = b""
        try:
            fd = os.open(name, _NEW, item.mode & 0o777, dir_fd=here.fd)
        except FileExistsError:
            temporary = self._temporary()
            fd = os.open(temporary, _NEW, item.mode & 0o777, dir_fd=here.fd)
        try:
            _write(fd, data)
            self._settle_file(here, fd, item, operation.atime_ns)
            if temporary:
                self._take_place(here, temporary, name)
            self._settle_flags(here, fd, name, operation.flags)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary or name, dir_fd=here.fd)
            raise
        finally:
            os.close(fd)
        self.files += 1
        self.content_bytes += len(data)

    def _begin(self, operation: Begin, _data: memoryview) -> None:
        here, name, temporary = self._there(), check_name(operation.name), self._temporary()
        if self._begun is not None and (self._begun.fd >= 0 or self._begun.name != name):
            raise ProtocolError("a file was begun while another is under way")
        if operation.in_place and operation.basis is None:
            raise ProtocolError("a change in place of a file that was not compared")
        self._begun = begun = _Begun(here.path, name, -1, temporary)
        if operation.basis is None:
            begun.fd = os.open(temporary, _NEW, 0o600, dir_fd=here.fd)
            return
        old = open_basis(here.fd, name, operation.basis, writable=operation.in_place)
        if operation.in_place:
            begun.fd = old
            begun.journal = Journal(here.fd, name, old, temporary)
        else:
            begun.old = Original(old)
            begun.fd = os.open(temporary, _NEW, 0o600, dir_fd=here.fd)

    def _data(self, operation: Data, data: memoryview) -> None:
        begun = self._expect_begun()
        if operation.offset < 0 or operation.offset + operation.length > _MAX_SIZE:
            raise ProtocolError(f"impossible offset {operation.offset}")
        if begun.fd < 0:
            return
        if begun.journal is not None:
            begun.journal.data(operation.offset, data)
        else:
            write_at(begun.fd, data, operation.offset)
        self.content_bytes += operation.length

    def _copy(self, operation: Copy, _data: memoryview) -> None:
        begun = self._expect_begun()
        if min(operation.offset, operation.start, operation.length) < 0:
            raise ProtocolError("impossible part of a file to copy")
        if max(operation.offset, operation.start) + operation.length > _MAX_SIZE:
            raise ProtocolError("impossible part of a file to copy")
        if begun.fd < 0:
            return
        if begun.old is None:
            raise ProtocolError("a copy from a file that was not compared")
        begun.old.copy(begun.fd, operation.start, operation.offset, operation.length)

    def _hole(self, operation: Hole, _data: memoryview) -> None:
        begun = self._expect_begun()
        if operation.offset < 0 or operation.length < 1 or operation.offset + operation.length > _MAX_SIZE:
            raise ProtocolError("impossible hole")
        if begun.fd < 0:
            return
        if begun.journal is None:
            raise ProtocolError("a hole in a file that is not changed in place")
        begun.journal.hole(operation.offset, operation.length)

    def _end(self, operation: End, _data: memoryview) -> None:
        begun, item = self._expect_begun(), operation.item
        if item.name != begun.name or item.kind != stat.S_IFREG or not 0 <= item.size <= _MAX_SIZE:
            raise ProtocolError("a file ends as another than it began")
        if begun.fd >= 0:
            here = self._directories.get(begun.directory)
            if begun.journal is not None:
                begun.journal.carry_out(item.size)
            else:
                if begun.old is not None:
                    begun.old.finish()
                os.ftruncate(begun.fd, item.size)
            complain = self._complain(self._path_of(operation))
            metadata.settle(begun.fd, item, operation.atime_ns, os.fstat(begun.fd), complain)
            if begun.journal is not None:
                begun.journal.drop()
            else:
                self._take_place(here, begun.temporary, begun.name)
            self._settle_flags(here, begun.fd, begun.name, operation.flags)
            begun.close()
            self.files += 1
        self._begun = None

    def _abort(self, _operation: Abort, _data: memoryview) -> None:
        self._expect_begun()
        self._drop_begun()

    def _link(self, operation: Link, _data: memoryview) -> None:
        name, parts = check_name(operation.name), components(operation.path)
        if not parts:
            raise ProtocolError("a link to nothing")
        first = self._directories.get(b"/".join(parts[:-1]))
        here = self._here = self._directories.get(self._path)
        try:
            _hard_link(first.fd, parts[-1], here.fd, name)
        except FileExistsError:
            temporary = self._temporary()
            _hard_link(first.fd, parts[-1], here.fd, temporary)
            self._take_place(here, temporary, name)
            with suppress(FileNotFoundError):  # rename(2) of two names of one file does nothing
                os.unlink(temporary, dir_fd=here.fd)
        self.files += 1

    def _adjust(self, operation: Adjust, _data: memoryview) -> None:
        item, here = operation.item, self._there()
        self._settle_at(here, check_name(item.name), item)
        if item.kind == stat.S_IFREG and operation.flags >= 0:
            fd = os.open(item.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd)
            try:
                metadata.set_flags(fd, operation.flags, self._complain(self._path_of(operation)))
            finally:
                os.close(fd)
        self.files += 1

    def _remove(self, operation: Remove, _data: memoryview) -> None:
        here, name = self._there(), check_name(operation.name)
        self._directories.forget(b"/".join(part for part in (here.path, name) if part))
        self.removed += remove(here.fd, name)

    def _finish(self, operation: Finish, _data: memoryview) -> None:
        item, here = operation.item, self._there()
        if item.kind != stat.S_IFDIR:
            raise ProtocolError("a directory is finished as something else")
        complain = self._complain(here.path)
        metadata.settle(here.fd, item, item.mtime_ns, os.fstat(here.fd), complain)
        if operation.flags >= 0:
            metadata.set_flags(here.fd, operation.flags, complain)
        if here.path:
            self._directories.forget(here.path)
            self._stale = True

    # Shared parts.

    def _settle_file(self, here: OpenDirectory, fd: int, item: Item, atime_ns: int) -> None:
        complain = self._complain(b"/".join(part for part in (self._path, item.name) if part))
        if here.inherits:
            metadata.settle(fd, item, atime_ns, os.fstat(fd), complain)
        else:
            metadata.settle_new(fd, item, atime_ns, here.gid, complain)

    def _settle_flags(self, here: OpenDirectory, fd: int, name: bytes, flags: int) -> None:
        if metadata.has_flags(flags):
            metadata.set_flags(fd, flags, self._complain(b"/".join(p for p in (here.path, name) if p)))

    def _settle_at(self, here: OpenDirectory, name: bytes, item: Item) -> None:
        """Metadata of a name that must not be opened: through a descriptor that pins it and opens nothing."""
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd)
        try:
            status = os.fstat(fd)
            if stat.S_IFMT(status.st_mode) != item.kind:
                raise OSError(errno.ESTALE, "is something else on the target than it was when listed")
            complain = self._complain(b"/".join(p for p in (here.path, item.name) if p))
            metadata.settle(b"/proc/self/fd/%d" % fd, item, item.mtime_ns, status, complain)
        finally:
            os.close(fd)

    def _take_place(self, here: OpenDirectory, temporary: bytes, name: bytes) -> None:
        """Rename over whatever has the name; a directory in the way is removed first."""
        try:
            os.rename(temporary, name, src_dir_fd=here.fd, dst_dir_fd=here.fd)
        except IsADirectoryError:
            self._directories.forget(b"/".join(part for part in (here.path, name) if part))
            self.removed += remove(here.fd, name)
            os.rename(temporary, name, src_dir_fd=here.fd, dst_dir_fd=here.fd)
        except PermissionError:
            if not unlocked(here.fd, name):
                raise
            os.rename(temporary, name, src_dir_fd=here.fd, dst_dir_fd=here.fd)

    def _expect_begun(self) -> _Begun:
        if self._begun is None:
            raise ProtocolError("a piece of a file that was not begun")
        return self._begun

    def _give_up_begun(self) -> None:
        """Forget what came of the begun file; what is still to come is ignored."""
        begun = self._begun
        if begun is None:
            return
        there = begun.fd >= 0 and begun.journal is None
        begun.close()
        if begun.journal is not None:
            begun.journal.drop()
            begun.journal = None
        if there:
            with suppress(OSError):
                os.unlink(begun.temporary, dir_fd=self._directories.get(begun.directory).fd)

    def _drop_begun(self) -> None:
        self._give_up_begun()
        self._begun = None


def _name_of(operation: Operation) -> bytes:
    if isinstance(operation, (Make, Put, End, Adjust)):
        return operation.item.name
    if isinstance(operation, (Begin, Link, Remove)):
        return operation.name
    return b""


def _hard_link(from_directory: int, old: bytes, to_directory: int, new: bytes) -> None:
    os.link(old, new, src_dir_fd=from_directory, dst_dir_fd=to_directory, follow_symlinks=False)


def _write(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]
