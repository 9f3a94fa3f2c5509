"""Parts of files of the source that are read when they travel, each time that they do.

A file that is ``straight`` may be sent by the kernel, page by page as they are: what is changed before
they arrive may arrive changed.
"""

from __future__ import annotations

import os

from dtesx.base.errors import DtesxError


class OpenFile:
    """A file that parts are read from; closed when nobody has it or a part of it any more.

    ``fd`` stays the caller's. A part is as long as it was said to be: what the file does not have (any
    more), and what cannot be read, is zeros; ``error`` tells the latter. It has to be looked at when all
    parts have travelled, and ``told`` to be set then: what travels again later cannot be taken back, so
    reading raises DtesxError from there on.
    """

    def __init__(self, fd: int, *, straight: bool = False) -> None:
        self.straight = straight
        self.error: OSError | None = None
        self.told = False
        self._fd = os.dup(fd)

    def __del__(self) -> None:
        os.close(self._fd)

    def read(self, buffer: memoryview, offset: int) -> None:
        """Fill ``buffer`` with what is at ``offset``."""
        filled = 0
        try:
            while filled < len(buffer) and (count := os.preadv(self._fd, [buffer[filled:]], offset + filled)):
                filled += count
        except OSError as error:
            if self.told:
                raise DtesxError(
                    f"a file that has to be sent again cannot be read: {error.strerror}",
                    hint="look at the source's kernel log (dmesg), then start the mirror again",
                ) from error
            self.error = self.error or error
        buffer[filled:] = bytes(len(buffer) - filled)

    def send(self, sock: int, offset: int, length: int) -> int:
        """Send at most ``length`` bytes at ``offset`` without reading them (sendfile(2)); returns how many.

        0 where it has to be read: it is not there, or something failed. Raises BlockingIOError.
        """
        try:
            return os.sendfile(sock, self._fd, offset, length)
        except BlockingIOError:
            raise
        except OSError:  # reading, or sending what was read, says what is wrong
            return 0


class FilePart:
    """``length`` bytes of a file from ``offset`` on."""

    def __init__(self, file: OpenFile, offset: int, length: int) -> None:
        self._file = file
        self._offset = offset
        self._length = length

    @property
    def straight(self) -> bool:
        """Whether ``send`` may be called."""
        return self._file.straight

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        whole = bytearray(self._length)
        self.read(memoryview(whole), 0)
        return bytes(whole)

    def read(self, buffer: memoryview, at: int) -> None:
        """Fill ``buffer`` with what is at ``at`` of the part."""
        self._file.read(buffer, self._offset + at)

    def send(self, sock: int, at: int, length: int) -> int:
        """Send at most ``length`` bytes of what is at ``at`` of the part (OpenFile.send)."""
        return self._file.send(sock, self._offset + at, min(length, self._length - at))


Content = bytes | memoryview | FilePart
"""Some content of a frame; a part of a file is read when it travels."""


def cut(content: Content, begin: int, end: int) -> bytes:
    """The bytes from ``begin`` to before ``end``, which must be there."""
    if not isinstance(content, FilePart):
        return bytes(content[begin:end])
    found = bytearray(end - begin)
    content.read(memoryview(found), begin)
    return bytes(found)
