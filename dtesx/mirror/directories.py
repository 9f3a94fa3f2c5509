"""Directories of the source that the walk has been in, opened once more."""

from __future__ import annotations

import os
from collections import OrderedDict

from dtesx.model.paths import join

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEEP = 64


class Directories:
    """At most 64 open directories below ``root`` (a descriptor).

    Opening one never leaves the root, but through links that are in ``followed``.
    """

    def __init__(self, root: int) -> None:
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self.followed: set[bytes] = set()
        self._root = os.open(".", _OPEN, dir_fd=root)

    def get(self, path: bytes) -> int:
        """The directory at ``path``; raises OSError when it cannot be opened.

        The descriptor stays open until 64 other directories were asked for.
        """
        if not path:
            return self._root
        fd = self._open.get(path)
        if fd is not None:
            self._open.move_to_end(path)
            return fd
        self._open[path] = fd = self._descend(path)
        if len(self._open) > _KEEP:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            os.close(self._open.popitem()[1])
        os.close(self._root)

    def _descend(self, path: bytes) -> int:
        start, known = self._nearest(path)
        fd = start
        try:
            for name in path[len(known) :].lstrip(b"/").split(b"/"):
                known = join(known, name)
                flags = _OPEN & ~os.O_NOFOLLOW if known in self.followed else _OPEN
                below = os.open(name, flags, dir_fd=fd)
                if fd != start:
                    os.close(fd)
                fd = below
        except BaseException:
            if fd != start:
                os.close(fd)
            raise
        return fd

    def _nearest(self, path: bytes) -> tuple[int, bytes]:
        """The nearest open directory above ``path``, and its path."""
        while path:
            path = path.rpartition(b"/")[0]
            if path in self._open:
                self._open.move_to_end(path)
                return self._open[path], path
        return self._root, b""
