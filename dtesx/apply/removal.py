"""Removing a name with everything below it, by descriptors, never through a link or into a mount."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from dtesx.apply.metadata import unlock

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def remove(directory: int, name: bytes) -> int:
    """Remove ``name`` from an open directory; returns how many names went. Nothing there is fine.

    Raises OSError when something cannot be removed (EBUSY: a file system is mounted there).
    """
    try:
        _unlink(directory, name)
    except FileNotFoundError:
        return 0
    except IsADirectoryError:
        return _remove_tree(directory, name)
    return 1


@dataclass(slots=True)
class _Level:
    name: bytes
    fd: int
    names: list[bytes]


def _remove_tree(directory: int, name: bytes) -> int:
    device = os.fstat(directory).st_dev
    removed = 0
    levels = [_enter(directory, name, device)]
    try:
        while levels:
            level = levels[-1]
            if level.names:
                entry = level.names.pop()
                try:
                    _unlink(level.fd, entry)
                    removed += 1
                except IsADirectoryError:
                    levels.append(_enter(level.fd, entry, device))
                continue
            os.close(levels.pop().fd)
            _rmdir(levels[-1].fd if levels else directory, level.name)
            removed += 1
    finally:
        for level in levels:
            os.close(level.fd)
    return removed


def _enter(parent: int, name: bytes, device: int) -> _Level:
    fd = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(fd).st_dev != device:
            raise OSError(errno.EBUSY, "another file system is mounted here on the target")
        return _Level(name, fd, [os.fsencode(entry) for entry in os.listdir(fd)])  # noqa: PTH208
    except BaseException:
        os.close(fd)
        raise


def _unlink(directory: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except PermissionError:
        if not unlocked(directory, name):
            raise
        os.unlink(name, dir_fd=directory)


def _rmdir(directory: int, name: bytes) -> None:
    try:
        os.rmdir(name, dir_fd=directory)
    except PermissionError:
        if not unlocked(directory, name):
            raise
        os.rmdir(name, dir_fd=directory)


def unlocked(directory: int, name: bytes) -> bool:
    """Take immutable and append-only off a directory and a name in it; tells whether any was set."""
    changed = unlock(directory)
    try:
        kind = stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            return changed
        fd = os.open(name, _OPEN, dir_fd=directory)
    except OSError:  # not there, or not to be opened: only the directory can have been locked
        return changed
    try:
        return unlock(fd) or changed
    finally:
        os.close(fd)
