"""A copy in memory of what changed of a tree, as it was at one moment: it is mirrored in the tree's place.

It has the changed names with all that can be told of them, and of large files the changed parts. What
else is in the tree it has not; the directories above what changed are there, but bare.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import msgspec

from dtesx.mirror import content
from dtesx.mirror.directories import Directories
from dtesx.mirror.gathering import Gathering, Kept, NotStill
from dtesx.model.paths import join
from dtesx.wire.items import SETTABLE_FLAGS

_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_TREE = b"tree"
_SETFLAGS = 0x40086602  # FS_IOC_SETFLAGS, linux/fs.h


@contextmanager
def laid_out(gathering: Gathering) -> Iterator[int]:
    """Lay out what was gathered where its files are, and yield a descriptor of the root.

    Raises NotStill where the file system in memory cannot hold something.
    """
    os.mkdir(_TREE, dir_fd=gathering.files)
    tree = os.open(_TREE, _DIRECTORY, dir_fd=gathering.files)
    try:
        with closing(Directories(tree)) as directories:
            try:
                _Layout(gathering, directories).run()
            except OSError as error:
                raise NotStill(
                    f"the kernel's file system in memory could not hold what changed: {error.strerror}",
                    hint="Linux 6.6 and later keep user attributes and flags there",
                ) from error
        yield tree
    finally:
        os.close(tree)


class _Layout:
    def __init__(self, gathering: Gathering, directories: Directories) -> None:
        self._gathering = gathering
        self._directories = directories
        self._made = {b""}
        self._first: dict[int, bytes] = {}

    def run(self) -> None:
        gathering = self._gathering
        for path in gathering.directories:
            self._make(path)
        placed = [self._place(kept) for kept in gathering.names]
        for path, kept in gathering.directories.items():
            _describe(b".", self._directories.get(path), kept)
        # At last, for what is immutable cannot get another name, nor something in it.
        for kept in (*placed, *gathering.directories.values()):
            if kept.flags > 0 and kept.flags & SETTABLE_FLAGS:
                self._flag(kept)

    def _make(self, path: bytes) -> None:
        """Make a directory and those above it."""
        if path not in self._made:
            above, _, name = path.rpartition(b"/")
            self._make(above)
            os.mkdir(name, 0o700, dir_fd=self._directories.get(above))
            self._made.add(path)

    def _place(self, kept: Kept) -> Kept:
        """Make a name; returns what it stands for."""
        item, fd = kept.item, self._directories.get(kept.directory)
        if item.link in self._first:
            above, _, name = self._first[item.link].rpartition(b"/")
            os.link(
                name,
                item.name,
                src_dir_fd=self._directories.get(above),
                dst_dir_fd=self._directories.get(kept.directory),
                follow_symlinks=False,
            )
            return kept
        if item.link:
            self._first[item.link] = join(kept.directory, item.name)
            whole = self._gathering.linked[item.link]
            item = msgspec.structs.replace(whole.item, name=item.name)
            kept = replace(whole, directory=kept.directory, item=item)
        if item.kind == stat.S_IFLNK:
            os.symlink(item.target, item.name, dir_fd=fd)
        elif item.kind != stat.S_IFREG:
            os.mknod(item.name, item.mode, item.rdev, dir_fd=fd)
        elif kept.file:
            os.rename(kept.file, item.name, src_dir_fd=self._gathering.files, dst_dir_fd=fd)
        else:
            _write(item.name, fd, kept.data)
        _describe(item.name, fd, kept)
        return kept

    def _flag(self, kept: Kept) -> None:
        fd = os.open(kept.item.name or b".", _OPEN, dir_fd=self._directories.get(kept.directory))
        try:
            with suppress(OSError):  # told below
                fcntl.ioctl(fd, _SETFLAGS, struct.pack("l", kept.flags & SETTABLE_FLAGS))
            if (content.flags(fd) ^ kept.flags) & SETTABLE_FLAGS:
                raise NotStill("flags of chattr(1) cannot be kept in memory", hint="a later epoch has them")
        finally:
            os.close(fd)


def _write(name: bytes, directory: int, data: bytes) -> None:
    fd = os.open(name, _FILE, 0o600, dir_fd=directory)
    try:
        if data and os.write(fd, data) < len(data):
            raise NotStill("more changed than may be kept in memory", hint="make epochs shorter (--epoch)")
    finally:
        os.close(fd)


def _describe(name: bytes, directory: int, kept: Kept) -> None:
    """Give a name its owner, mode, extended attributes and times."""
    item = kept.item
    os.chown(name, item.uid, item.gid, dir_fd=directory, follow_symlinks=False)
    if item.kind != stat.S_IFLNK:
        os.chmod(name, item.permissions, dir_fd=directory)
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    for key, value in item.xattrs:
        os.setxattr(path, key, value, follow_symlinks=False)
    times = (kept.atime_ns or item.mtime_ns, item.mtime_ns)
    os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
