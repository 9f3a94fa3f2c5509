"""Questions about the content of files, sent ahead of their answers: a mirror and a verification alike."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from dtesx.mirror.delta import Segment
from dtesx.mirror.sums import SEGMENT, Reader, Summer
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Sums, SumsRequest

AHEAD = 4 * SEGMENT
"""Bytes that may be asked for without an answer."""

_SLOWLY = 2 << 20

_REQUESTS = 128
_FILES = 64


@dataclass(frozen=True)
class Asker:
    """The way to the sums of what is below the target's ``root``; they are of ``summer``'s kind.

    ``ask`` sends a request; answers come in the order of the requests. ``answer`` gives the next one, or
    None when there is none yet and it is not told to wait.
    """

    root: int
    summer: Summer
    ask: Callable[[SumsRequest], None]
    answer: Callable[[bool], Sums | None]


@dataclass(slots=True, eq=False)
class Question:
    """A segment on its way to being compared; ``number`` is 0 where there is nothing to compare."""

    segment: Segment
    number: int = 0
    answer: Sums | None = None

    @property
    def weight(self) -> int:
        """What it counts among the bytes that are asked for."""
        return self.segment.weight


@dataclass(slots=True, eq=False)
class Inquiry:
    """A file under comparison: ``fd`` is the source's, ``there`` the size of the target's.

    ``asked`` when there is nothing left to ask about it, ``over`` when it is not to be compared on.
    ``ahead`` bytes of it may be asked for without an answer, ``weight`` bytes are.
    """

    directory: bytes
    name: bytes
    fd: int
    segments: Iterator[Segment]
    there: int
    stage: bool = False
    asked: bool = False
    over: bool = False
    ahead: int = AHEAD
    weight: int = 0
    questions: deque[Question] = field(default_factory=deque)

    def stop(self) -> None:
        """Compare no further."""
        self.over = self.asked = True

    @property
    def most(self) -> int:
        """How long its next segment may be."""
        return min(SEGMENT, self.ahead // 2)

    @property
    def waits(self) -> bool:
        """Whether as much of it is asked for as may be."""
        return self.weight >= self.ahead


F = TypeVar("F", bound=Inquiry)
G = TypeVar("G", bound=Inquiry, contravariant=True)


class Handler(Protocol[G]):
    """Takes what comes of a file. An OSError of ``take`` and of ``complete`` goes to ``failed``."""

    def take(self, file: G, segment: Segment, answer: Sums | None) -> None:
        """Deal with the next segment; no answer: it is to be sent as it is."""

    def complete(self, file: G) -> None:
        """Every segment was taken; not called when the file is over."""

    def failed(self, file: G, error: OSError) -> None:
        """The file could not be read; it is over."""

    def left(self, file: G) -> None:
        """The file is closed, whatever came of it."""


class Window(Generic[F]):
    """Asks about several files at once and hands over the answers file by file, in their order.

    ``pause`` is called at every segment and may raise to stop.
    """

    def __init__(self, asker: Asker, handler: Handler[F], pause: Callable[[], None]) -> None:
        self.files: deque[F] = deque()
        self._asker = asker
        self._handler = handler
        self._pause = pause
        self._reader = Reader()
        self._unanswered: deque[Question] = deque()
        self._number = 0
        self._ahead = 0

    def add(self, file: F) -> None:
        """Take a file, whose descriptor is closed in the end."""
        self.files.append(file)
        self.go_on()
        while len(self.files) > _FILES:
            self.step(wait=True)

    def go_on(self) -> None:
        """Do what can be done without waiting."""
        while self.step(wait=False):
            pass

    def settle(self) -> None:
        """Return when all is done and no answer is on its way."""
        while self.files:
            self.step(wait=True)
        while self._unanswered:
            self._listen(wait=True)

    def close(self) -> None:
        """Give up what is not done."""
        while self.files:
            os.close(self.files.popleft().fd)

    def step(self, *, wait: bool) -> bool:
        """Make one step; False when there is nothing to do (or, without ``wait``, nothing yet)."""
        self._ask()
        if not self.files:
            return False
        file = self.files[0]
        if not file.questions:
            self._leave(file)
            return True
        question = file.questions[0]
        if question.number and question.answer is None:
            return self._listen(wait=wait)
        self._pause()
        self._ahead -= file.questions.popleft().weight
        file.weight -= question.weight
        file.ahead = min(AHEAD, file.ahead + question.weight)
        self._guarded(file, lambda: self._handler.take(file, question.segment, question.answer))
        if file.over:
            self._forget(file)
        return True

    def _forget(self, file: F) -> None:
        self._ahead -= file.weight
        file.weight = 0
        file.questions.clear()

    def ask_anew(self, file: F, segments: Iterator[Segment]) -> None:
        """Forget what is asked about a file and ask about ``segments``, little at once at first."""
        self._forget(file)
        file.segments, file.asked, file.ahead = segments, False, _SLOWLY

    def _listen(self, *, wait: bool) -> bool:
        answer = self._asker.answer(wait)
        if answer is None:
            return False
        question = self._unanswered.popleft() if self._unanswered else Question(Segment(0, 0))
        if answer.number != question.number:
            raise ProtocolError(f"answer {answer.number} arrived where {question.number} was due")
        question.answer = answer
        return True

    def _ask(self) -> None:
        for file in self.files:
            while not file.asked and not file.waits:
                if self._ahead >= AHEAD or len(self._unanswered) >= _REQUESTS:
                    return
                self._guarded(file, lambda file=file: self._ask_next(file))  # type: ignore[misc]

    def _ask_next(self, file: F) -> None:
        segment = next(file.segments, None)
        if segment is None:
            file.asked = True
            return
        question = Question(segment)
        if segment.there < file.there and not segment.told:
            sums = b""
            if not segment.hole:
                length, sums = self._reader.sums(file.fd, segment.offset, segment.length, self._asker.summer)
                if length < segment.length:  # it shrank: this is where it ends
                    file.asked = True
                    question.segment = segment = Segment(segment.offset, length, shift=segment.shift)
                    if not length:
                        return
            self._send(file, question, sums)
        file.questions.append(question)
        file.weight += question.weight
        self._ahead += question.weight
        self._pause()

    def ask_chunks(self, file: F, segment: Segment) -> Callable[[], Sums]:
        """Ask for the chunks of a part of the target's file; what is returned waits for the answer."""
        question = Question(segment)
        self._send(file, question, b"", chunks=True)

        def answer() -> Sums:
            while question.answer is None:
                self._listen(wait=True)
            return question.answer

        return answer

    def _send(self, file: F, question: Question, sums: bytes, *, chunks: bool = False) -> None:
        self._number += 1
        question.number = self._number
        segment = question.segment
        request = SumsRequest(
            root=self._asker.root,
            number=self._number,
            directory=file.directory,
            name=file.name,
            offset=segment.offset,
            length=segment.length,
            sums=sums,
            shift=segment.shift,
            stage=file.stage and not chunks,
            chunks=chunks,
        )
        self._asker.ask(request)
        self._unanswered.append(question)

    def _guarded(self, file: F, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            file.stop()
            self._handler.failed(file, error)

    def _leave(self, file: F) -> None:
        if not file.over:
            self._guarded(file, lambda: self._handler.complete(file))
        self.files.remove(file)
        os.close(file.fd)
        self._handler.left(file)
