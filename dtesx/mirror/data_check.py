"""Comparing the content of large files block by block with the target's, while a walk goes on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from dtesx.mirror import content
from dtesx.mirror.comparing import AHEAD, Asker
from dtesx.mirror.delta import Segment, check, segments
from dtesx.mirror.scan import Visit
from dtesx.mirror.sums import BLOCK, Reader, sums_of
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.sums import Sums

_FILES = 64
_REQUESTS = 128


@dataclass(frozen=True, slots=True)
class Compared:
    """How many bytes of a file were compared, and how many of them lie in blocks that differ.

    ``failed`` tells why a file could not be compared to its end.
    """

    total: int
    different: int
    failed: str = ""


@dataclass(slots=True, eq=False)
class _File:
    directory: bytes
    name: bytes
    fd: int
    parts: Iterator[Segment]
    there: int
    done: Callable[[Compared], None]
    asked: bool = False
    open_questions: int = 0
    total: int = 0
    different: int = 0
    failed: str = ""


class DataCheck:
    """Compares files through ``asker``, several at once. ``pause`` is called at every segment."""

    def __init__(self, asker: Asker, pause: Callable[[], None]) -> None:
        self._asker = asker
        self._pause = pause
        self._reader = Reader()
        self._files: deque[_File] = deque()
        self._questions: deque[tuple[int, _File, Segment]] = deque()
        self._numbers = count(1)
        self._ahead = 0

    def add(self, visit: Visit, source: Item, target: Item, done: Callable[[Compared], None]) -> None:
        """Take a file that both sides have; ``done`` is called when it was compared.

        Raises OSError when it cannot be opened.
        """
        fd = content.open_regular(source.name, visit.fd)
        size = os.fstat(fd).st_size
        parts = segments(content.extents(fd, size), size)
        self._files.append(_File(visit.path, source.name, fd, parts, target.size, done))
        self.go_on()
        while len(self._files) > _FILES:
            self._step(wait=True)

    def go_on(self) -> None:
        """Do what can be done without waiting."""
        while self._step(wait=False):
            pass

    def settle(self) -> None:
        """Return when all files were compared."""
        while self._files:
            self._step(wait=True)

    def close(self) -> None:
        """Give up what is not done."""
        while self._files:
            os.close(self._files.popleft().fd)

    def _step(self, *, wait: bool) -> bool:
        """Make one step; False when there is nothing to do (or, without ``wait``, nothing yet)."""
        self._ask()
        if self._files and self._files[0].asked and not self._files[0].open_questions:
            self._leave(self._files.popleft())
            return True
        if not self._questions or (answer := self._asker.answer(wait=wait)) is None:
            return False
        self._pause()
        number, file, segment = self._questions.popleft()
        self._ahead -= _weight(segment)
        file.open_questions -= 1
        if answer.number != number:
            raise ProtocolError(f"answer {answer.number} arrived where {number} was due")
        self._judge(file, segment, answer)
        return True

    def _leave(self, file: _File) -> None:
        os.close(file.fd)
        file.done(Compared(file.total, file.different, file.failed))

    def _ask(self) -> None:
        for file in self._files:
            while not file.asked:
                if self._ahead >= AHEAD or len(self._questions) >= _REQUESTS:
                    return
                try:
                    self._ask_next(file)
                except OSError as error:
                    file.asked, file.failed = True, error.strerror or str(error)

    def _ask_next(self, file: _File) -> None:
        segment = next(file.parts, None)
        if segment is None or file.failed:
            file.asked = True
            return
        file.total += 0 if segment.hole else segment.length
        if segment.offset >= file.there:
            file.different += 0 if segment.hole else segment.length
            return
        sums = b""
        if not segment.hole:
            data = self._reader.read(file.fd, segment.offset, segment.length)
            if len(data) < segment.length:
                file.asked, file.failed = True, "shrank while it was compared"
                return
            sums = sums_of(data, BLOCK)
        number = next(self._numbers)
        self._asker.ask(number, file.directory, file.name, segment, sums)
        self._questions.append((number, file, segment))
        self._ahead += _weight(segment)
        file.open_questions += 1
        self._pause()

    def _judge(self, file: _File, segment: Segment, answer: Sums) -> None:
        check(segment, answer)
        if answer.basis is None:
            file.failed = file.failed or "cannot be read on the target"
            return
        for block in answer.differing:
            rest = segment.length - block * BLOCK
            file.different += rest if segment.hole else min(BLOCK, rest)


def _weight(segment: Segment) -> int:
    return 1 if segment.hole else segment.length
