"""Where segments lie: a folder, behind an interface so small that tests can break each of its steps."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Protocol

from dtesx.base.errors import UsageError
from dtesx.model.queue import QueueLimits


def check_folder(limits: QueueLimits) -> None:
    """Raise UsageError when there is to be a disk queue and its folder is missing."""
    if limits.on_disk and not Path(limits.folder).is_dir():
        raise UsageError(
            f"there is no directory {limits.folder} for the queue",
            hint="make it, or name another one (queue.folder)",
        )


class File(Protocol):
    """A file that is gone when it is closed. Every method raises OSError when it fails."""

    def write(self, data: bytes, offset: int) -> None:
        """Write all of ``data``; when it fails, a part may have been written."""

    def read(self, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes; fewer at the end of the file."""

    def close(self) -> None:
        """Give its room back."""


class Storage(Protocol):
    """Makes files. Every method raises OSError when it fails."""

    def file(self) -> File:
        """A new, empty file."""

    def free(self) -> int:
        """Bytes that can still be written."""


class Folder:
    """Storage in a directory.

    The files have no names: nothing is left behind, however the process ends, and any number of
    queues may share a directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self) -> File:
        with tempfile.TemporaryFile(dir=self._path, buffering=0) as unnamed:
            return _Unnamed(os.dup(unnamed.fileno()))

    def free(self) -> int:
        status = os.statvfs(self._path)
        return status.f_bavail * status.f_frsize


class _Unnamed:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, offset)
            view, offset = view[count:], offset + count

    def read(self, length: int, offset: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        while 0 < len(data) < length and (more := os.pread(self._fd, length - len(data), offset + len(data))):
            data += more
        return data

    def close(self) -> None:
        os.close(self._fd)
