"""Copying parts of the target's own files: shared with the original where the file system can."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from dtesx.apply.letting_go import let_go
from dtesx.wire.sums import ANY, Basis

_READ = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNABLE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY)
_STEP = 1 << 20
_LARGE = 4 << 20
_BACKLOG = 256 << 20
_MAX = (1 << 63) - 1
_SHORTER = "became shorter on the target while it was copied"


def basis_of(status: os.stat_result) -> Basis:
    """The state of a file as it is told to the source."""
    # Only equality counts, so that times beyond the wire's 64 bits may be folded.
    return Basis(status.st_ino, status.st_size, status.st_mtime_ns % _MAX)


def open_basis(directory: int, name: bytes, basis: Basis, *, writable: bool) -> int:
    """Open the file that was compared; raises OSError when it is not the same any more.

    To be written to, it must have no other name: that could be one outside the replica.
    """
    fd = os.open(name, _READ | (os.O_RDWR if writable else os.O_RDONLY), dir_fd=directory)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or basis_of(status) != basis:
        os.close(fd)
        raise OSError(errno.ESTALE, "changed on the target while it was compared")
    if writable and status.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EMLINK, "has several names on the target, so it is not changed in place")
    return fd


def open_again(directory: int, name: bytes, basis: Basis) -> int:
    """Open the file that was compared to be written to, even if it was in part already. Raises OSError."""
    fd = os.open(name, _READ | os.O_RDWR, dir_fd=directory)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or basis.inode not in (status.st_ino, ANY):
        os.close(fd)
        raise OSError(errno.ESTALE, "is another file on the target than was compared")
    if basis.inode == ANY and status.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EMLINK, "has several names on the target, so it is not changed in place")
    return fd


@dataclass(frozen=True, slots=True)
class _Part:
    new: int
    start: int
    offset: int
    length: int


class Original:
    """The open file that parts are copied from.

    Large files are copied by a thread, so that the next part can be compared meanwhile: a copy is
    made for certain after ``finish``.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._known = (0, 0)
        self._parts: deque[_Part] = deque()
        self._waiting = 0
        self._error: OSError | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._large = os.fstat(fd).st_size >= _LARGE

    def copy(self, new: int, start: int, offset: int, length: int) -> None:
        """Copy ``length`` bytes at ``start`` to ``offset`` of another file, holes left out.

        Raises OSError.
        """
        part = _Part(new, start, offset, length)
        if not self._large:
            self._copy(part)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="dtesx-copy", daemon=True)
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _BACKLOG or self._error is not None)
            self._parts.append(part)
            self._waiting += length
            self._changed.notify_all()

    def copy_now(self, new: int, length: int) -> None:
        """Copy the first ``length`` bytes to the same places of another file. Raises OSError."""
        self._copy(_Part(new, 0, 0, length))

    def finish(self) -> None:
        """Return when all copies are made. Raises the OSError of one that failed; may be repeated."""
        with self._changed:
            self._changed.wait_for(lambda: not self._parts or self._error is not None)
            error, self._error = self._error, None
            self._changed.notify_all()
        if error is not None:
            raise error

    def close(self) -> None:
        """Give up what is not copied yet and close the file."""
        if self._thread is not None:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._thread.join()
        let_go(self._fd)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or (self._parts and self._error is None))
                if self._ended:
                    return
                part = self._parts[0]
            error = None
            try:
                self._copy(part)
            except OSError as caught:
                error = caught
            with self._changed:
                self._error = error
                if error is None:  # otherwise it stays, to be tried again
                    self._parts.popleft()
                    self._waiting -= part.length
                self._changed.notify_all()

    def _copy(self, part: _Part) -> None:
        end = part.start + part.length
        if end > os.fstat(self._fd).st_size:
            raise OSError(errno.ESTALE, _SHORTER)
        for begin, stop in self._data(part.start, end):
            _copy_data(self._fd, part.new, begin, part.offset + begin - part.start, stop - begin)

    def _data(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts between ``start`` and ``end`` that are no holes."""
        while start < end:
            # Kept, because the search for the next hole may look at every page before it.
            if not self._known[0] <= start < self._known[1]:
                self._known = self._extent(start)
            begin, stop = max(start, self._known[0]), min(self._known[1], end)
            if begin < stop:
                yield begin, stop
            start = self._known[1]

    def _extent(self, start: int) -> tuple[int, int]:
        try:
            begin = os.lseek(self._fd, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return _MAX, _MAX
            if error.errno == errno.EINVAL:  # a file system that knows no holes
                return start, _MAX
            raise
        return begin, os.lseek(self._fd, begin, os.SEEK_HOLE)


def write_at(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``. Raises OSError."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def _copy_data(old: int, new: int, start: int, offset: int, length: int) -> None:
    while length:
        try:
            count = os.copy_file_range(old, new, length, start, offset)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            count = os.pwrite(new, os.pread(old, min(_STEP, length), start), offset)
        if not count:
            raise OSError(errno.ESTALE, _SHORTER)
        start, offset, length = start + count, offset + count, length - count
