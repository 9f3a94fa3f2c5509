"""Where segments lie: a folder, behind an interface so small that tests can break each of its steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from dtesx.base.files import private_directory

_SUFFIX = ".segment"


class Storage(Protocol):
    """Files that only grow at their end. Every method raises OSError when it fails."""

    def names(self) -> list[str]:
        """All files, sorted."""

    def append(self, name: str, data: bytes) -> None:
        """Add to a file, made if missing; when it fails, a part may have been added."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes; fewer at the end of the file."""

    def truncate(self, name: str, size: int) -> None:
        """Cut a file off at ``size``."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def free(self) -> int:
        """Bytes that can still be written."""


class Folder:
    """Storage in a directory, made if missing and readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = private_directory(path)
        self._name = ""
        self._fd = -1

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self._path.iterdir() if entry.name.endswith(_SUFFIX))

    def append(self, name: str, data: bytes) -> None:
        view = memoryview(data)
        fd = self._open(name)
        end = os.lseek(fd, 0, os.SEEK_END)
        while view:
            count = os.pwrite(fd, view, end)
            view, end = view[count:], end + count

    def read(self, name: str, offset: int, length: int) -> bytes:
        fd = self._open(name)
        data = os.pread(fd, length, offset)
        while 0 < len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
            data += more
        return data

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._open(name), size)

    def remove(self, name: str) -> None:
        if name == self._name:
            self.close()
        os.unlink(self._path / name)

    def free(self) -> int:
        status = os.statvfs(self._path)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Let go of the open file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._name = -1, ""

    def _open(self, name: str) -> int:
        if name != self._name:
            self.close()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._path / name, flags, 0o600)
            self._name = name
        return self._fd


def segment_name(first: int) -> str:
    """The file of the segment whose first entry has the number ``first``; names sort as numbers do."""
    return f"{first:020d}{_SUFFIX}"
