"""Making names and giving them their metadata; each appears under its name only when it is whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial

from dtesx.apply import flags
from dtesx.apply.names import check_name, components
from dtesx.apply.workplace import NEW, Workplace
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.operations import Adjust, Link, Make, Put

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SPECIAL = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)
# One directory may have so many new ones whose names are still to come; each takes memory.
_MAX_STAGED = 10_000


class Maker:
    """Methods raise OSError for the name and ProtocolError for nonsense; all may be repeated."""

    def __init__(self, work: Workplace) -> None:
        self._work = work

    def make(self, operation: Make, _data: memoryview) -> None:
        """A directory, symlink, fifo or device."""
        item, work = operation.item, self._work
        name = check_name(item.name)
        if item.kind == stat.S_IFDIR:
            self._make_directory(name)
        elif item.kind not in _SPECIAL:
            raise ProtocolError(f"impossible kind of file: mode {item.mode:o}")
        elif work.unseen and self._make_special(name, item):
            work.settle_at(name, item)
        else:
            temporary = work.temporary()
            try:
                self._make_special(temporary, item)
                work.settle_at(temporary, item)
                work.take_place(work.here, temporary, name)
            except BaseException:
                self._discard(temporary)
                raise
        work.counts.files += 1

    def _make_directory(self, name: bytes) -> None:
        """A new directory is made under a temporary name; it gets its own when its files are in it."""
        work, path = self._work, self._work.below(name)
        if path in work.directories.staged:
            return
        fd = work.here.fd
        if not work.unseen:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                pass
            else:
                if stat.S_ISDIR(status.st_mode):
                    return
                os.unlink(name, dir_fd=fd)
        if len(work.directories.staged) < _MAX_STAGED:
            temporary = work.temporary()
            os.mkdir(temporary, 0o700, dir_fd=fd)
            work.directories.staged[path] = temporary
        else:
            os.mkdir(name, 0o700, dir_fd=fd)

    def _make_special(self, name: bytes, item: Item) -> bool:
        """Returns False when the name is taken."""
        fd = self._work.here.fd
        if item.kind == stat.S_IFLNK and (not item.target or b"\0" in item.target):
            raise ProtocolError("impossible symlink target")
        try:
            if item.kind == stat.S_IFLNK:
                os.symlink(item.target, name, dir_fd=fd)
            else:
                os.mknod(name, item.kind | 0o600, item.rdev, dir_fd=fd)
        except FileExistsError:
            return False
        return True

    def put(self, operation: Put, data: memoryview) -> None:
        """A whole file. In a directory that nobody sees it needs no other name meanwhile."""
        item, work = operation.item, self._work
        name = check_name(item.name)
        if item.kind != stat.S_IFREG:
            raise ProtocolError(f"impossible kind of file: mode {item.mode:o}")
        here, length = work.here, len(data)
        written = name if work.unseen else work.temporary()
        try:
            fd = os.open(written, NEW, item.mode & 0o777, dir_fd=here.fd)
        except FileExistsError:
            written = work.temporary()
            fd = os.open(written, NEW, item.mode & 0o777, dir_fd=here.fd)
        try:
            while data:
                data = data[os.write(fd, data) :]
            work.settle_file(fd, item, operation.atime_ns)
            if written is not name:
                work.take_place(here, written, name)
            work.settle_flags(fd, name, operation.flags)
            work.made(fd)
        except BaseException:
            self._discard(written)
            raise
        finally:
            os.close(fd)
        work.counts.files += 1
        work.counts.content_bytes += length

    def link(self, operation: Link, _data: memoryview) -> None:
        """A further name of a file."""
        work, name, parts = self._work, check_name(operation.name), components(operation.path)
        if not parts:
            raise ProtocolError("a link to nothing")
        first = work.directories.get(b"/".join(parts[:-1]))
        work.enter(work.path)  # opening the other directory may have closed this one
        # What is immutable can neither get a name nor lose one.
        flags.insist(partial(self._link, first.fd, parts[-1], name), first.fd, parts[-1])
        work.counts.files += 1

    def _link(self, directory: int, old: bytes, name: bytes) -> None:
        here = self._work.here
        try:
            _hard_link(directory, old, here.fd, name)
        except FileExistsError:
            temporary = self._work.temporary()
            _hard_link(directory, old, here.fd, temporary)
            try:
                self._work.take_place(here, temporary, name)
            finally:  # rename(2) of two names of one file does nothing
                self._discard(temporary)

    def adjust(self, operation: Adjust, _data: memoryview) -> None:
        """Metadata of what is there."""
        item, work = operation.item, self._work
        work.settle_at(check_name(item.name), item)
        if item.kind == stat.S_IFREG and operation.flags >= 0:
            fd = os.open(item.name, _LOOK, dir_fd=work.here.fd)
            try:
                flags.put(fd, operation.flags, work.complain(item.name))
            finally:
                os.close(fd)
        work.counts.files += 1

    def _discard(self, temporary: bytes) -> None:
        with suppress(OSError):  # the next listing removes it
            os.unlink(temporary, dir_fd=self._work.here.fd)


def _hard_link(from_directory: int, old: bytes, to_directory: int, new: bytes) -> None:
    os.link(old, new, src_dir_fd=from_directory, dst_dir_fd=to_directory, follow_symlinks=False)
