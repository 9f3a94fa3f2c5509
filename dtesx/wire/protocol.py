"""The protocol's two ends as state machines: frames in, messages out, nothing else. No sockets, no clocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from dtesx import __version__
from dtesx.base.errors import DtesxError, Refused, from_code
from dtesx.model.epoch import Epoch, InsertedTask
from dtesx.model.mirror import MAX_STREAMS
from dtesx.wire import messages
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame
from dtesx.wire.messages import (
    Answer,
    Ask,
    Bind,
    Commit,
    Committed,
    Credit,
    EpochApplied,
    EpochBegin,
    EpochEnd,
    EpochKept,
    Failure,
    Goodbye,
    Hello,
    Knock,
    List,
    Listing,
    Message,
    Pair,
    Paused,
    Question,
    Refusal,
    Replicas,
    Report,
    Resumed,
    TaskEnded,
    expect,
)
from dtesx.wire.operations import Operations
from dtesx.wire.sums import Sums, SumsRequest

PROTOCOL = 1
"""Version of the protocol; both sides must have the same."""

LISTING_CREDIT = 4
"""Listing frames that a target may send ahead of the source's reading."""

MAX_QUESTIONS = 8192
"""Directories that a source may ask about without an answer."""

_MAX_CREDIT = 64
_MAX_TEXT = 2000

M = TypeVar("M")


class SourceProtocol:
    """The source's end of a stream: what may arrive when."""

    def __init__(self) -> None:
        self.told = False
        self._listing: int | None = None
        self._asking = (-1, 0)
        self._asked_all = True
        self._credit = 0
        self._sums = 0
        self._committing: int | None = None
        self._epoch = 0

    def receive(self, frame: Frame) -> Message:
        """Check a frame against the state; returns its message. Raises ProtocolError."""
        message = messages.decode(frame)
        if isinstance(message, Answer):
            self._answered(message)
        elif isinstance(message, Listing):
            self._spend()
            _due(message.root == self._listing, "a listing arrived that nobody asked for")
            if message.last:
                self._listing = None
        elif isinstance(message, Sums):
            _due(self._sums > 0, "sums arrived that nobody asked for")
            self._sums -= 1
        elif isinstance(message, (Committed, Replicas)):
            self._due_once(message)
        elif isinstance(message, (EpochApplied, EpochKept)):
            _due(message.number <= self._epoch, "an epoch was kept that never ended")
        elif not isinstance(message, (Paused, Resumed, Report, TaskEnded)):
            raise ProtocolError(f"{type(message).__name__} is nothing that a target sends")
        return message

    def _due_once(self, message: Committed | Replicas) -> None:
        if isinstance(message, Committed):
            if message.root != self._committing:
                raise ProtocolError("a commit was confirmed that nobody asked for")
            self._committing = None
        else:
            if self.told:
                raise ProtocolError("the target tells of its roots once more")
            self.told = True
            self._epoch = message.kept.number if message.kept is not None else 0

    def _spend(self) -> None:
        if not self._credit:
            raise ProtocolError("the target tells more than there is room for")
        self._credit -= 1

    def _answered(self, message: Answer) -> None:
        self._spend()
        root, unanswered = self._asking
        self._asking = root, unanswered - answered(message)
        if message.root != root or self._asking[1] < 0:
            raise ProtocolError("an answer arrived that nobody asked for")

    def list_root(self, root: int, *, sums: bool = False) -> List:
        """The request for a root's listing."""
        self._listing, self._credit = root, LISTING_CREDIT
        return List(root, LISTING_CREDIT, sums)

    def more(self) -> Credit:
        """Room for another frame of a listing or of answers: one was dealt with."""
        self._credit += 1
        return Credit(1)

    def ask_sums(self, request: SumsRequest) -> SumsRequest:
        """A request that one answer is due to."""
        self._sums += 1
        return request

    def ask(
        self, root: int, directories: list[Question], *, last: bool, sums: bool = False, whole: bool = True
    ) -> Ask:
        """The question what the target has in directories of a root."""
        unanswered = self._asking[1] if self._asking[0] == root else 0
        if self._asked_all:
            self._credit = LISTING_CREDIT
        self._asked_all = last
        self._asking = root, unanswered + len(directories)
        return Ask(root, directories, last, sums, whole)

    def commit_root(self, root: int) -> Commit:
        """The request to make a root durable."""
        self._committing = root
        return Commit(root)

    def end_epoch(self, epoch: Epoch, tasks: Sequence[InsertedTask]) -> EpochEnd:
        """The message that completes an epoch, after which ``tasks`` run."""
        self._epoch = epoch.number
        return EpochEnd(epoch, tuple(tasks))

    @property
    def committing(self) -> bool:
        """Whether a commit was asked for and is not confirmed."""
        return self._committing is not None


class TargetProtocol:
    """The target's end, once the source is let in. ``names`` are the replication roots it sends."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.credit = 0
        self._listing = False
        self._committing = False
        self._in_epoch = False
        self._asking: int | None = None
        self._unanswered = 0
        self._asked_all = False

    def present(self, name: str) -> str:
        """The name of a root now. Where a place holds one tree, another path is another path of that tree."""
        return self.names[0] if len(self.names) == 1 else name

    def receive(self, frame: Frame) -> Message:
        """Check a frame against the state; returns its message. Raises ProtocolError."""
        message = messages.decode(frame)
        if isinstance(message, (Ask, Bind, List, Commit, Operations, SumsRequest)):
            self._check_root(message.root)
        if isinstance(message, List):
            if self._listing or self._asking is not None:
                raise ProtocolError("a listing was asked for while another is under way")
            self._listing, self.credit = True, 0
            self._grant(message.credit)
        elif isinstance(message, Ask):
            self._asked(message)
        elif isinstance(message, Credit):
            self._grant(message.frames)
        elif isinstance(message, (Operations, Commit, Goodbye, EpochBegin, EpochEnd)):
            self._in_turn(message)
        elif not isinstance(message, (Bind, SumsRequest)):
            raise ProtocolError(f"{type(message).__name__} is nothing that a source sends")
        return message

    def _in_turn(self, message: Message) -> None:
        inside = isinstance(message, EpochEnd)
        if self._committing or (self._in_epoch is not inside and not isinstance(message, Operations)):
            raise ProtocolError(f"{type(message).__name__} arrived out of turn")
        if isinstance(message, (EpochBegin, EpochEnd)):
            self._in_epoch = not inside
        self._committing = isinstance(message, Commit)

    def _check_root(self, root: int) -> None:
        if not 0 <= root < len(self.names):
            raise ProtocolError(f"there is no replication root {root}")

    def _grant(self, frames: int) -> None:
        self.credit += frames
        if frames < 1 or self.credit > _MAX_CREDIT:
            raise ProtocolError(f"impossible listing credit {frames}")

    def committed(self) -> None:
        """Note a commit as confirmed."""
        self._committing = False

    def _asked(self, message: Ask) -> None:
        if self._asking is None and not self._listing:
            self._asking, self._asked_all, self.credit = message.root, False, LISTING_CREDIT
        if self._asking != message.root or self._asked_all:
            raise ProtocolError("directories were asked about while another root's are told")
        self._asked_all = message.last
        self._unanswered += len(message.directories)
        if self._unanswered > MAX_QUESTIONS:
            raise ProtocolError("too many directories were asked about at once")

    def told(self, answer: Answer) -> None:
        """Note an answer as sent."""
        self.credit -= 1
        self._unanswered -= answered(answer)

    def all_told(self) -> bool:
        """Whether everything about a root is asked and told; the next one may come then."""
        if self._asked_all and not self._unanswered:
            self._asking = None
        return self._asking is None

    def listed(self, *, last: bool) -> None:
        """Note a listing frame as sent."""
        self.credit -= 1
        self._listing = not last


def greeting(job: str, roots: tuple[str, ...], stream: bytes, *, existing: bool = False) -> Hello:
    """The Hello of a stream's first connection."""
    return Hello(PROTOCOL, job, roots, __version__, stream, existing=existing)


def _due(due: bool, otherwise: str) -> None:
    if not due:
        raise ProtocolError(otherwise)


def answered(answer: Answer) -> int:
    """How many directories a frame is the (end of the) answer about."""
    return sum(abs(a) if isinstance(a, int) else not a.more for a in answer.directories)


def opening(frame: Frame) -> Hello | Knock:
    """The message with which a source opens a connection.

    Raises Refused when it speaks another version, and ProtocolError when it is no opening at all.
    """
    message = messages.decode(frame)
    if not isinstance(message, (Hello, Knock)):
        raise ProtocolError(f"{type(message).__name__} arrived where Hello was due")
    _check(message)
    return message


def response(frame: Frame) -> Hello | Pair:
    """A source's answer to a Challenge; raises as ``opening`` does."""
    message = messages.decode(frame)
    if isinstance(message, Pair):
        return message
    hello = expect(message, Hello)
    _check(hello)
    return hello


def _check(message: Hello | Knock) -> None:
    if message.protocol != PROTOCOL:
        raise Refused(
            f"the target speaks protocol {PROTOCOL}, the source {message.protocol}",
            hint="install the same version of dtesx on both",
        )
    if isinstance(message, Hello) and (len(message.stream) != 16 or not 0 <= message.slot < MAX_STREAMS):
        raise ProtocolError("a source asked for an impossible stream")


def answer(frame: Frame, cls: type[M]) -> M:
    """The target's answer to an opening, as ``cls``; raises the error with which it was refused."""
    message = messages.decode(frame)
    if isinstance(message, (Refusal, Failure)):
        raise _ended(message)
    return expect(message, cls)


def refusal(error: DtesxError) -> Refusal:
    """The frame that tells a source why it is not let in."""
    return Refusal(error.code, error.message[:_MAX_TEXT], error.hint[:_MAX_TEXT], PROTOCOL)


def failure(error: DtesxError) -> Failure:
    """The frame that tells a source why the session ends."""
    return Failure(error.code, error.message[:_MAX_TEXT], error.hint[:_MAX_TEXT])


def _ended(message: Refusal | Failure) -> DtesxError:
    error = from_code(message.code, message.message, message.hint)
    if isinstance(message, Refusal) and type(error) is DtesxError:  # a code of another version
        return Refused(message.message, hint=message.hint)
    return error
