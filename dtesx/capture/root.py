"""A root that is watched: what of that which the kernel tells is below it, and where."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from dtesx.capture.batch import Batch
from dtesx.capture.events import FSID, Entry
from dtesx.capture.filesystems import FileSystem
from dtesx.capture.handles import handle_and_mount, open_handle
from dtesx.capture.paths import Paths, may_be_elsewhere, path_below
from dtesx.model.capture import Rung
from dtesx.model.paths import join


@dataclass
class WatchedRoot:
    """A watched root.

    ``given`` says where the places of the last drain were found, ``told`` by which paths it told of files
    that nothing else said where to find.
    """

    directory: int
    system: FileSystem
    mask: int
    rung: Rung
    mount: int
    paths: Paths
    given: dict[bytes, bytes | None] = field(default_factory=dict)
    told: dict[bytes, bytes] = field(default_factory=dict)

    def still(self, entry: Entry, handle: bytes) -> bytes | None:
        """The path of a name below the root, if it stands for what has the handle."""
        directory = self.paths.find(entry[0])
        if directory is None:
            return None
        path = join(directory, entry[1])
        try:
            return path if self.has(path, handle) else None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return path if self._stands(entry, handle) else None
            raise

    def has(self, path: bytes, handle: bytes) -> bool:
        """Whether a path below the root is that of what has the handle. Raises OSError."""
        try:
            return handle_and_mount(self.directory, path) == (handle, self.mount)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return False
            raise

    def is_elsewhere(self, entry: Entry, handle: bytes) -> bool:
        """Whether a name that is certainly not below the root stands for what has the handle."""
        elsewhere = self.paths.find(entry[0]) is None and not self.paths.unsure
        return elsewhere and self._stands(entry, handle)

    def path(self, handle: bytes) -> bytes | None:
        """The path below the root of what has a handle; None when it is elsewhere. Raises OSError."""
        fd = open_handle(self.directory, handle)
        try:
            return path_below(self.directory, fd)
        finally:
            os.close(fd)

    def astray(self, named: Mapping[bytes, Entry]) -> set[bytes]:
        """Handles of files of which something is told by a name that is not theirs any more."""
        found = set()
        for file, entry in named.items():
            handle = file[FSID:]
            if file.startswith(self.system.number) and self.still(entry, handle) is None:
                found.add(handle)
        return found

    def gone(self) -> set[bytes]:
        """Handles of files that are not any more where the last drain told of them.

        Who looked there may have come too late.
        """
        found = set()
        for handle, path in self.told.items():
            with suppress(OSError):  # a path that is too long to be sure: it was as long when it was told
                if not self.has(path, handle):
                    found.add(handle)
        return found

    def is_nameless(self, handle: bytes, batch: Batch) -> bool:
        """Whether a file that has no known path may yet be below the root. Raises OSError."""
        file = self.system.number + handle
        entry = batch.named.get(file) or batch.touched.get(file)
        fd = open_handle(self.directory, handle)
        try:
            # Its names are counted first: the one that is looked at then is not removed in between.
            alone = os.fstat(fd).st_nlink == 1
            if alone and entry is not None and self.is_elsewhere(entry, handle):
                return False
            return may_be_elsewhere(fd)
        finally:
            os.close(fd)

    def located(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries that are below the root, with the paths of their directories."""
        for place, name in entries:
            if place.startswith(self.system.number) and (path := self.paths.find(place)) is not None:
                yield path, name

    def _stands(self, entry: Entry, handle: bytes) -> bool:
        try:
            directory = open_handle(self.directory, entry[0][FSID:])
            try:
                return handle_and_mount(directory, entry[1]) == (handle, self.mount)
            finally:
                os.close(directory)
        except OSError:  # one of them was removed
            return False
