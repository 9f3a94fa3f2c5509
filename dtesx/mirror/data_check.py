"""Comparing the content of large files block by block with the target's, while a walk goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from dtesx.mirror import content
from dtesx.mirror.delta import Segment, check, segments
from dtesx.mirror.scan import Visit
from dtesx.mirror.sums import BLOCK
from dtesx.mirror.window import Asker, Inquiry, Window
from dtesx.wire.items import Item
from dtesx.wire.sums import Sums


@dataclass(frozen=True, slots=True)
class Compared:
    """How many bytes of a file were compared, and how many of them lie in blocks that differ.

    ``failed`` tells why a file could not be compared to its end.
    """

    total: int
    different: int
    failed: str = ""


@dataclass(slots=True, eq=False, kw_only=True)
class _File(Inquiry):
    size: int
    done: Callable[[Compared], None]
    total: int = 0
    different: int = 0
    trouble: str = ""


class DataCheck:
    """Compares files through ``asker``, several at once. ``pause`` is called at every segment."""

    def __init__(self, asker: Asker, pause: Callable[[], None]) -> None:
        self._window: Window[_File] = Window(asker, self, pause)

    def add(self, visit: Visit, source: Item, target: Item, done: Callable[[Compared], None]) -> None:
        """Take a file that both sides have; ``done`` is called when it was compared.

        Raises OSError when it cannot be opened.
        """
        fd, status = content.open_with_status(source.name, visit.fd)
        file = _File(
            directory=visit.path,
            name=source.name,
            fd=fd,
            segments=segments(content.extents(fd, status.st_size), status.st_size),
            there=target.size,
            size=status.st_size,
            done=done,
        )
        self._window.add(file)

    def settle(self) -> None:
        """Return when all files were compared."""
        self._window.settle()

    def close(self) -> None:
        """Give up what is not done."""
        self._window.close()

    def take(self, file: _File, segment: Segment, answer: Sums | None) -> None:
        """See ``window.Handler``."""
        length = 0 if segment.hole else segment.length
        file.total += length
        if answer is None:
            file.different += length
            return
        check(segment, answer)
        if answer.basis is None:
            file.trouble = "cannot be read on the target"
            file.stop()
        for block in answer.differing:
            rest = segment.length - block * BLOCK
            file.different += rest if segment.hole else min(BLOCK, rest)

    def complete(self, file: _File) -> None:
        """See ``window.Handler``."""
        if os.fstat(file.fd).st_size < file.size:
            file.trouble = "shrank while it was compared"

    def failed(self, file: _File, error: OSError) -> None:
        """See ``window.Handler``."""
        file.trouble = error.strerror or str(error)

    def left(self, file: _File) -> None:
        """See ``window.Handler``."""
        file.done(Compared(file.total, file.different, file.trouble))
