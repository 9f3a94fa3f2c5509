"""Content on its way from a socket to a file that never is in our memory: the kernel keeps it in pipes.

splice(2) moves pages that arrived into a pipe, and from there they are written to a file. A pipe
holds so many pieces, not bytes (pipe(7)); what does not fit into the pipes of a connection is kept in
memory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
from collections import deque
from contextlib import suppress

_SIZE = 1 << 20  # what any process may have unless the administrator says otherwise
_MOST = 4


class _Pipe:
    """One pipe with ``filled`` bytes; whoever drops it closes it."""

    def __init__(self) -> None:
        self.filled = 0
        self.out, self.into = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):  # there are too many: a small one does, too
            fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, _SIZE)

    def __del__(self) -> None:
        os.close(self.out)
        os.close(self.into)


class Pipes:
    """The pipes of one connection: at most four, made when they are needed and used again."""

    def __init__(self) -> None:
        self._left = _MOST
        self._free: list[_Pipe] = []

    def take(self) -> _Pipe | None:
        """An empty pipe; None when all are in use."""
        if self._free:
            return self._free.pop()
        if not self._left:
            return None
        self._left -= 1
        try:
            return _Pipe()
        except OSError:  # too many open files: memory does
            return None

    def give(self, pipe: _Pipe) -> None:
        """Take a pipe back; one with something in it makes room for a new one."""
        if pipe.filled:
            self._left += 1
        else:
            self._free.append(pipe)


class Piped:
    """``length`` bytes of content: complete when ``fill`` returned so many.

    ``pour`` and ``memory`` are for complete content. Whatever is not used is gone with the object.
    """

    def __init__(self, pipes: Pipes, length: int) -> None:
        self._pipes = pipes
        self._length = length
        self._filled = 0
        self._poured = 0
        self._used: deque[_Pipe] = deque()
        self._rest = memoryview(b"")  # what comes after the pipes

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return bytes(self.memory())

    def __del__(self) -> None:
        while self._used:
            self._pipes.give(self._used.popleft())

    def fill(self, sock: int) -> int:
        """Take in what has arrived at a socket; 0 when nothing will. Raises OSError as recv(2) does."""
        left = self._length - self._filled
        count = None if self._rest else self._fill_pipe(sock, left)
        if count is None:
            if not self._rest:
                self._rest = memoryview(bytearray(left))
            count = os.readv(sock, [self._rest[len(self._rest) - left :]])
        self._filled += count
        return count

    def _fill_pipe(self, sock: int, left: int) -> int | None:
        """None when this cannot be had in a pipe."""
        again = False
        while self._used or self._another():
            try:
                count = os.splice(sock, self._used[-1].into, left, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                # Nothing has arrived, or the pipe is full: what is there now will not come to be there later.
                if not _readable(sock):
                    raise
                if again and not self._another():
                    return None
                again = not again
            except OSError as error:
                if error.errno != errno.EINVAL:  # as for sockets that cannot be spliced
                    raise
                return None
            else:
                self._used[-1].filled += count
                return count
        return None

    def _another(self) -> bool:
        pipe = self._pipes.take()
        if pipe is not None:
            self._used.append(pipe)
        return pipe is not None

    def pour(self, fd: int, offset: int) -> None:
        """Write all of it at ``offset`` of a file. When it failed, it may be called again, and goes on.

        Raises OSError.
        """
        while self._used:
            pipe = self._used[0]
            while pipe.filled:
                try:
                    count = os.splice(pipe.out, fd, pipe.filled, offset_dst=offset + self._poured)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # as for file systems that cannot be spliced to
                        raise
                    self.memory()
                    return self._write(fd, offset)
                pipe.filled -= count
                self._poured += count
            self._pipes.give(self._used.popleft())
        return self._write(fd, offset)

    def _write(self, fd: int, offset: int) -> None:
        while self._rest:
            count = os.pwrite(fd, self._rest, offset + self._poured)
            self._rest = self._rest[count:]
            self._poured += count

    def memory(self) -> memoryview:
        """What was not poured yet, out of the pipes."""
        if self._used:
            whole = memoryview(bytearray(self._length - self._poured))
            filled = 0
            while self._used:
                pipe = self._used[0]
                while pipe.filled:
                    count = os.readv(pipe.out, [whole[filled : filled + pipe.filled]])
                    pipe.filled -= count
                    filled += count
                self._pipes.give(self._used.popleft())
            whole[filled:] = self._rest
            self._rest = whole
        return self._rest


Blob = memoryview | Piped
"""The content of a received frame."""


def in_memory(blob: Blob) -> memoryview:
    """The content, wherever it is."""
    return blob.memory() if isinstance(blob, Piped) else blob


def _readable(sock: int) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
