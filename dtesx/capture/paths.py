"""Where directories are now that events know by handle only."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from dtesx.capture.events import FSID
from dtesx.capture.handles import open_handle

_HELD = 1 << 16


class Paths:
    """Paths below ``root`` (a directory descriptor) of directories anywhere in its file system.

    What was found is kept until ``forget``, which must be called when any directory was moved: that
    moves all that is below it.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._known: dict[bytes, bytes | None] = {}
        self.unsure = False

    def forget(self) -> None:
        """Look for everything anew."""
        self._known.clear()

    def find(self, place: bytes) -> bytes | None:
        """The path of the directory at ``place`` (see ``events.Entry``), relative to the root.

        None when it is not below the root, or removed. Where that cannot be told, ``unsure`` is set.
        """
        if place in self._known:
            return self._known[place]
        try:
            path = self._look(place)
        except OSError as error:
            self.unsure |= error.errno != errno.ESTALE
            return None
        if len(self._known) >= _HELD:
            self._known.clear()
        self._known[place] = path
        return path

    def _look(self, place: bytes) -> bytes | None:
        fd = open_handle(self._root, place[FSID:])
        try:
            return path_below(self._root, fd)
        finally:
            os.close(fd)


def path_below(root: int, fd: int) -> bytes | None:
    """The path of an open file or directory relative to ``root``; None when it has none there.

    What the kernel says is tried out: it may be the path from the root of the whole file system, or
    one by which there is something else by now. Longer ones than PATH_MAX it says of nothing; only those
    of directories are found then.
    """
    try:
        return _said(root, fd)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    return _climbed(root, fd) if stat.S_ISDIR(os.fstat(fd).st_mode) else None


def may_be_elsewhere(fd: int) -> bool:
    """Whether an open file may have other paths than the one that the kernel says.

    That one may have been removed, while the file has others.
    """
    status = os.fstat(fd)
    if status.st_nlink != 1:
        return status.st_nlink > 1
    try:
        return not os.path.samestat(os.stat(shown(fd), follow_symlinks=False), status)
    except OSError:
        return True


def _said(root: int, fd: int) -> bytes | None:
    tried = b""
    while (path := shown(fd)) != tried:
        tried = path
        relative = _below(shown(root), path)
        if relative is not None and _is_there(root, relative, fd):
            return relative
    return None


def _climbed(root: int, fd: int) -> bytes | None:
    """The same, found step by step. Raises OSError: ENOENT when it is renamed meanwhile."""
    top, here = os.fstat(root), os.dup(fd)
    steps: list[os.stat_result] = []
    try:
        while not os.path.samestat(step := os.fstat(here), top):
            if steps and os.path.samestat(step, steps[-1]):
                return None  # above the uppermost directory is that one itself
            steps.append(step)
            here = _replaced(here, b"..", os.O_PATH)
        here, names = _replaced(here, b".", os.O_RDONLY), []
        for step in reversed(steps):
            names.append(_name_in(here, step))
            here = _replaced(here, names[-1], os.O_RDONLY)
        return b"/".join(names)
    finally:
        os.close(here)


def _replaced(directory: int, name: bytes, mode: int) -> int:
    flags = mode | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=directory)
    os.close(directory)
    return fd


def _name_in(directory: int, wanted: os.stat_result) -> bytes:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    if os.path.samestat(entry.stat(follow_symlinks=False), wanted):
                        return os.fsencode(entry.name)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _below(top: bytes, path: bytes) -> bytes | None:
    top = top.rstrip(b"/") + b"/"
    if path + b"/" == top or path == top:
        return b""
    return path[len(top) :] if path.startswith(top) else None


def _is_there(root: int, path: bytes, fd: int) -> bool:
    try:
        there = os.stat(path or b".", dir_fd=root, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    return os.path.samestat(there, os.fstat(fd))


def shown(fd: int) -> bytes:
    """The path of an open file as the kernel shows it (proc(5)). Raises OSError."""
    return os.readlink(b"/proc/self/fd/%d" % fd)
