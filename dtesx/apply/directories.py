"""Directories of the target held open, reached component by component from the root, links never followed."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from dtesx.apply import flags
from dtesx.apply.names import check_name, components
from dtesx.apply.opening import open_directory
from dtesx.model.paths import join

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEEP = 256
_DEFAULT_ACL = "system.posix_acl_default"


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A directory to work in.

    ``gid`` is the group that new names get; ``inherits`` tells that they get an ACL from it, too.
    """

    path: bytes
    fd: int
    gid: int
    inherits: bool


class Directories:
    """At most 256 open directories below ``root``; opening one never leaves the root.

    ``staged`` maps the paths of directories that have not got their names yet to the temporary
    names they have instead; they are found by their paths all the same.
    """

    def __init__(self, root: int) -> None:
        self.staged: dict[bytes, bytes] = {}
        self._open: OrderedDict[bytes, OpenDirectory] = OrderedDict()
        self._root = self._look(b"", os.open(".", _OPEN, dir_fd=root))

    def get(self, path: bytes) -> OpenDirectory:
        """The directory at ``path``; raises OSError when it is none, or on another file system.

        The result stays open until 256 other directories were asked for.
        """
        if not path:
            return self._root
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        above, _, name = path.rpartition(b"/")
        if (parent := self._open.get(above)) is not None:
            return self._descend(parent, above, [check_name(name)])
        parent = self._lowest_above(path)
        below = path[len(parent.path) :].removeprefix(b"/") if parent.path else path
        return self._descend(parent, parent.path, components(below))

    def publish(self, path: bytes) -> None:
        """Give a staged directory its name; raises OSError, among others when that is taken."""
        above, _, name = path.rpartition(b"/")
        fd = self.get(above).fd
        flags.rename(fd, self.staged[path], fd, name)
        del self.staged[path]

    def release(self, path: bytes) -> None:
        """Close ``path`` alone: it is finished. Of the root, what new names get from it is asked anew."""
        if not path:
            self._root = self._look(path, self._root.fd)
        elif (found := self._open.pop(path, None)) is not None:
            os.close(found.fd)

    def forget(self, path: bytes) -> None:
        """Close ``path`` and everything below it: it is no longer there. The root itself stays open."""
        below = path + b"/" if path else b""
        for known in [p for p in self._open if p == path or p.startswith(below)]:
            os.close(self._open.pop(known).fd)

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            os.close(self._open.popitem()[1].fd)
        os.close(self._root.fd)

    def _lowest_above(self, path: bytes) -> OpenDirectory:
        """The lowest directory above ``path`` that is open, found in time linear in the path's length."""
        above = (found for known, found in self._open.items() if path.startswith(known + b"/"))
        return max(above, key=lambda found: len(found.path), default=self._root)

    def _descend(self, parent: OpenDirectory, path: bytes, names: list[bytes]) -> OpenDirectory:
        """Open the directory that ``names`` lead to from ``parent``, which is at ``path``."""
        fd = parent.fd
        try:
            for name in names:
                path = join(path, name)
                below = open_directory(fd, self.staged.get(path, name))
                if fd != parent.fd:
                    os.close(fd)
                fd = below
            found = self._look(path, fd)
        except BaseException:
            if fd != parent.fd:
                os.close(fd)
            raise
        self._open[found.path] = found
        if len(self._open) > _KEEP:
            os.close(self._open.popitem(last=False)[1].fd)
        return found

    def _look(self, path: bytes, fd: int) -> OpenDirectory:
        status = os.fstat(fd)
        gid = status.st_gid if status.st_mode & stat.S_ISGID else os.getegid()
        return OpenDirectory(path, fd, gid, _has_default_acl(fd))


def _has_default_acl(fd: int) -> bool:
    try:
        os.getxattr(fd, _DEFAULT_ACL)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
    return True
