"""Large files that the target has in another state: compared block by block, while the walk goes on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dtesx.mirror import content
from dtesx.mirror.delta import Segment, check, runs, segments
from dtesx.mirror.diff import same_metadata
from dtesx.mirror.files import FileSender, refreshed
from dtesx.mirror.packing import Packer
from dtesx.mirror.patching import Patch
from dtesx.mirror.scan import Visit
from dtesx.mirror.sums import BLOCK, SEGMENT, Reader, sums_of
from dtesx.mirror.tally import Tally
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.sums import Basis, Sums

AHEAD = 8 * SEGMENT
"""Bytes that may be asked for without an answer."""

_REQUESTS = 128
_FILES = 64


class Asker(Protocol):
    """The way to the target's sums."""

    def ask(self, number: int, directory: bytes, name: bytes, segment: Segment, sums: bytes) -> None:
        """Send a request; answers come in the order of the requests."""

    def answer(self, *, wait: bool) -> Sums | None:
        """The next answer; without ``wait`` None when there is none yet."""


@dataclass(slots=True, eq=False)
class _File:
    directory: bytes
    source: Item
    target: Item
    fd: int
    status: os.stat_result
    flags: int
    segments: Iterator[Segment]
    patch: Patch
    basis: Basis | None = None
    reached: int = 0
    asked: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    """A segment on its way to being compared; ``number`` is 0 where the target has nothing to compare."""

    file: _File
    segment: Segment
    number: int


class Comparison:
    """Compares files and sends what differs; several are under way at once, done in their order.

    ``replaced`` gets directory and item of a file that was sent, ``failed`` also why one could not
    be read. ``pause`` is called at every segment and may raise to stop.
    """

    def __init__(
        self,
        asker: Asker,
        files: FileSender,
        packer: Packer,
        tally: Tally,
        *,
        in_place: bool,
        replaced: Callable[[bytes, Item], None],
        failed: Callable[[bytes, Item, OSError], None],
        pause: Callable[[], None],
    ) -> None:
        self._asker = asker
        self._sender = files
        self._packer = packer
        self._tally = tally
        self._in_place = in_place
        self._replaced = replaced
        self._failed = failed
        self._pause = pause
        self._reader = Reader()
        self._files: deque[_File] = deque()
        self._questions: deque[_Question] = deque()
        self._number = 0
        self._ahead = 0
        self._after: dict[bytes, Callable[[], None]] = {}

    def add(self, visit: Visit, source: Item, target: Item) -> None:
        """Take a regular file that is one on the target, too. Raises OSError when it cannot be opened."""
        fd = content.open_regular(source.name, visit.fd)
        try:
            status, flags = os.fstat(fd), content.flags(fd)
        except BaseException:
            os.close(fd)
            raise
        parts = segments(content.extents(fd, status.st_size), status.st_size)
        in_place = self._in_place and not target.link  # other names may share what would be changed
        patch = Patch(self._packer, self._tally, visit.path, source.name, in_place=in_place)
        file = _File(visit.path, source, target, fd, status, flags, parts, patch)
        self._files.append(file)
        self.go_on()
        while len(self._files) > _FILES:
            self._step(wait=True)

    def go_on(self) -> None:
        """Do what can be done without waiting."""
        while self._step(wait=False):
            pass

    def let_begin(self) -> None:
        """Return when no file is half sent, so that another may begin."""
        while self._files and self._files[0].patch.begun:
            self._step(wait=True)

    def settle(self) -> None:
        """Return when all is done."""
        while self._files:
            self._step(wait=True)

    def close(self) -> None:
        """Give up what is not done."""
        while self._files:
            os.close(self._files.popleft().fd)

    def busy(self, directory: bytes) -> bool:
        """Whether files of ``directory`` are not done yet."""
        return any(file.directory == directory for file in self._files)

    def after(self, directory: bytes, action: Callable[[], None]) -> None:
        """Call ``action`` when all files of ``directory`` are done, which may be now."""
        if self.busy(directory):
            self._after[directory] = action
        else:
            action()

    def _step(self, *, wait: bool) -> bool:
        """Make one step; False when there is nothing to do (or, without ``wait``, nothing yet)."""
        self._ask()
        if self._files and self._answered(self._files[0]):
            self._leave(self._files[0])
            return True
        if not self._questions:
            return False
        question, answer = self._questions[0], None
        if question.number and (answer := self._asker.answer(wait=wait)) is None:
            return False
        self._pause()
        self._questions.popleft()
        self._ahead -= _weight(question.segment)
        if answer is not None and answer.number != question.number:
            raise ProtocolError(f"answer {answer.number} arrived where {question.number} was due")
        if not question.file.over:
            self._guarded(question.file, lambda: self._apply(question, answer))
        return True

    def _answered(self, file: _File) -> bool:
        return file.asked and not (self._questions and self._questions[0].file is file)

    def _ask(self) -> None:
        for file in self._files:
            while not file.asked:
                if self._ahead >= AHEAD or len(self._questions) >= _REQUESTS:
                    return
                self._guarded(file, lambda file=file: self._ask_next(file))  # type: ignore[misc]

    def _ask_next(self, file: _File) -> None:
        segment = next(file.segments, None)
        if segment is None or file.over:
            file.asked = True
            return
        number = 0
        if segment.offset < file.target.size:
            sums = b""
            if not segment.hole:
                data = self._reader.read(file.fd, segment.offset, segment.length)
                if len(data) < segment.length:  # it shrank: this is where it ends
                    file.asked = True
                    segment = Segment(segment.offset, len(data))
                    if not data:
                        return
                sums = sums_of(data, BLOCK)
            self._number += 1
            number = self._number
            self._asker.ask(number, file.directory, file.source.name, segment, sums)
        self._questions.append(_Question(file, segment, number))
        self._ahead += _weight(segment)
        self._pause()

    def _apply(self, question: _Question, answer: Sums | None) -> None:
        file, segment = question.file, question.segment
        if answer is None:
            if file.basis is None:  # the target's file was not asked about, so it is not known
                self._whole(file)
            else:
                self._new(file, file.basis, segment)
            return
        check(segment, answer)
        if answer.basis is None or answer.basis != (file.basis or answer.basis):
            self._whole(file)
            return
        file.basis = answer.basis
        if segment.hole:
            if answer.differing:
                file.patch.hole(answer.basis, segment.offset, segment.length)
        else:
            for run in runs(segment, answer, lambda offset, length: os.pread(file.fd, length, offset)):
                if run.data is None:
                    file.patch.same(run.offset, run.length)
                else:
                    file.patch.data(answer.basis, run.offset, run.data)
        file.reached = segment.offset + segment.length

    def _new(self, file: _File, basis: Basis, segment: Segment) -> None:
        """A part beyond the end of the target's file."""
        end = segment.offset + segment.length
        while not segment.hole and file.reached < end:
            offset = max(file.reached, segment.offset)
            data = os.pread(file.fd, min(content.CHUNK, end - offset), offset)
            if not data:
                return
            file.patch.data(basis, offset, data)
            file.reached = offset + len(data)
        file.reached = end

    def _whole(self, file: _File) -> None:
        """The target's file is not what it was: send ours without it."""
        file.patch.abort()
        file.over = file.asked = True
        self._sender.pieces(file.directory, file.source, file.fd, file.status, file.flags)
        self._tally.files_sent += 1
        self._replaced(file.directory, file.source)

    def _complete(self, file: _File) -> None:
        size = file.status.st_size
        if os.fstat(file.fd).st_size < size:
            size = file.reached
        if file.basis is None:
            self._whole(file)
            return
        item = refreshed(file.source, file.status, size)
        tally, patch = self._tally, file.patch
        if not patch.begun and file.basis.size == size:
            if same_metadata(item, file.target):
                tally.files_skipped += 1
            else:
                self._sender.adjusted(file.directory, item, file.flags)
                tally.files_sent += 1
            tally.bytes_skipped += size
            return
        patch.begin(file.basis)
        patch.end(item, file.status.st_atime_ns, file.flags)
        tally.files_sent += 1
        tally.bytes_skipped += max(0, size - patch.sent)
        self._replaced(file.directory, file.source)

    def _guarded(self, file: _File, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            file.patch.abort()
            file.over = file.asked = True
            self._failed(file.directory, file.source, error)

    def _leave(self, file: _File) -> None:
        if not file.over:
            self._guarded(file, lambda: self._complete(file))
        self._files.remove(file)
        os.close(file.fd)
        directory = file.directory
        if directory in self._after and not self.busy(directory):
            self._after.pop(directory)()


def _weight(segment: Segment) -> int:
    return 0 if segment.hole else segment.length
