"""The tree of directories as it is now, read by the places of events."""

from __future__ import annotations

import os
from collections.abc import Iterator, KeysView
from contextlib import contextmanager

from dtesx.capture.events import FSID, Entry
from dtesx.capture.handles import handle_and_mount, handle_of, open_handle
from dtesx.capture.paths import shown
from dtesx.model.paths import split

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOATIME


class MountedTree:
    """``history.Tree`` below ``directory`` (a descriptor), whose file system's events begin with ``number``.

    What cannot be read is out of sight. Raises OSError.
    """

    def __init__(self, directory: int, number: bytes) -> None:
        self._directory = directory
        self._number = number
        handle, self._mount = handle_and_mount(directory)
        self.root = number + handle
        self._known: dict[bytes, Entry | None] = {}
        self._unsettled: set[bytes] = set()

    @property
    def known(self) -> KeysView[bytes]:
        """See ``history.Tree``."""
        return self._known.keys()

    def entry(self, directory: bytes) -> Entry | None:
        """See ``history.Tree``."""
        if directory not in self._known:
            try:
                self._known[directory] = self._read(directory)
            except OSError:
                self._known[directory] = None
        return self._known[directory]

    def holds(self, entry: Entry, file: bytes) -> bool:
        """See ``history.Tree``."""
        directory, name = entry
        self._unsettled.add(directory)
        try:
            with self._opened(directory) as fd:
                return handle_of(fd, name) == file[FSID:]
        except OSError:
            return False

    def settle(self) -> None:
        """See ``history.Tree``."""
        # A rename holds its directories until it has told, and listing waits for that.
        for directory in self._unsettled:
            try:
                with self._opened(directory) as fd:
                    _list(fd)
            except OSError:
                continue  # gone, and so is what was in it
        self._unsettled.clear()

    @contextmanager
    def _opened(self, directory: bytes) -> Iterator[int]:
        fd = open_handle(self._directory, directory[FSID:])
        try:
            yield fd
        finally:
            os.close(fd)

    def _read(self, directory: bytes) -> Entry | None:
        with self._opened(directory) as fd:
            above, mount = handle_and_mount(fd, b"..")
            _, name = split(shown(fd))
            if mount != self._mount or not os.fstat(fd).st_nlink:
                return None
        self._unsettled.add(self._number + above)
        return self._number + above, name


def _list(directory: int) -> None:
    fd = os.open(b".", _LIST, dir_fd=directory)
    try:
        with os.scandir(fd) as found:
            next(found, None)
    finally:
        os.close(fd)
