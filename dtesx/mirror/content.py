"""Reading files of the source: whole, or in pieces with their holes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dtesx.mirror.sums import sum_of
from dtesx.wire.parts import FilePart, OpenFile

SMALL = 256 << 10
"""Files up to this size (bytes) travel packed into one frame with others."""

CHUNK = 1 << 20
"""Larger files travel in pieces of at most this size (bytes)."""

HUGE = 4 << 20
"""Files from this size on (bytes) are read when they travel, so that nothing of them is kept in memory."""

HUGE_CHUNK = 4 * (896 << 10)
"""Their pieces: a little less than four pipes of 1 MiB hold of what a socket received (wire.piping)."""

# O_NONBLOCK: a fifo that took the file's place must not hold us up.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GETFLAGS = 0x80086601  # FS_IOC_GETFLAGS, linux/fs.h
_NO_FLAGS = (errno.ENOTTY, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)
_LONG = bytes(8)

DENSE = 32 << 10
"""Whether files up to this size (bytes) have holes is of no interest."""

_LARGEST = (1 << 63) - 1


def open_regular(name: bytes, directory: int) -> int:
    """Open a regular file for reading; raises OSError when it is none (any more)."""
    return open_with_status(name, directory)[0]


def foreign_link(status: os.stat_result) -> int:
    """The link number of a file on another device than the root's: inodes are unique on one device only."""
    return hash((status.st_dev, status.st_ino)) & _LARGEST


def open_with_status(name: bytes, directory: int, link: int = 0) -> tuple[int, os.stat_result]:
    """A regular file open for reading, with its state; raises OSError when it is none (any more).

    With a ``link`` number (Item), also when it is another one: its content is not that of the others.
    """
    fd = os.open(name, _OPEN, dir_fd=directory)
    try:
        status = os.fstat(fd)
        other = link and link not in (status.st_ino, foreign_link(status))
        if other or status.st_mode & 0o170000 != stat.S_IFREG:
            raise OSError(errno.ESTALE, "was replaced by something else while it was read")
    except BaseException:
        os.close(fd)
        raise
    return fd, status


@contextmanager
def opened(name: bytes, directory: int) -> Iterator[tuple[int, os.stat_result]]:
    """``open_with_status``, closed at the end."""
    fd, status = open_with_status(name, directory)
    try:
        yield fd, status
    finally:
        os.close(fd)


def is_small(status: os.stat_result) -> bool:
    """Whether a file travels whole: short, and without holes worth keeping."""
    size = status.st_size
    return size <= DENSE or (size <= SMALL and status.st_blocks * 512 >= size)


def read_whole(fd: int, size: int) -> bytes:
    """At most ``size`` bytes from the start; less when the file shrank."""
    data = os.read(fd, size)
    while 0 < len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            break
        data += more
    return data


def sum_of_file(name: bytes, directory: int) -> bytes:
    """The sum of a small file's content. Raises OSError."""
    with opened(name, directory) as (fd, status):
        return sum_of(read_whole(fd, min(status.st_size, SMALL)) if status.st_size else b"")


def chunks(fd: int, size: int, file: OpenFile | None) -> Iterator[tuple[int, bytes | FilePart]]:
    """The data of a file up to ``size`` as (offset, content), holes left out; ends where it shrank.

    With ``file`` nothing is read now, but when it travels.
    """
    most = CHUNK if file is None else HUGE_CHUNK
    for start, end in extents(fd, size):
        offset = start
        while offset < end:
            length = min(most, end - offset)
            data = FilePart(file, offset, length) if file is not None else os.pread(fd, length, offset)
            if not data:
                return
            yield offset, data
            offset += len(data)


def extents(fd: int, size: int, offset: int = 0) -> Iterator[tuple[int, int]]:
    """Where a file of ``size`` bytes has data from ``offset`` on: (start, end) of each part between holes."""
    while offset < size:
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            if error.errno == errno.EINVAL:  # a file system that knows no holes
                yield offset, size
                return
            raise
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= size:
            return
        yield start, end
        offset = end


def flags(fd: int) -> int:
    """The chattr(1) flags of an open file or directory; 0 where the file system has none."""
    try:
        raw = fcntl.ioctl(fd, _GETFLAGS, _LONG)
    except OSError as error:
        if error.errno in _NO_FLAGS:
            return 0
        raise
    return int.from_bytes(raw[:4], sys.byteorder)
