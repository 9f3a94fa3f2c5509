"""The protocol's two ends as state machines: frames in, messages out, nothing else. No sockets, no clocks."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TypeVar

from dtesx import __version__
from dtesx.base.errors import DtesxError, Refused, from_code
from dtesx.wire import messages
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame
from dtesx.wire.messages import (
    Acknowledgement,
    Commit,
    Committed,
    Credit,
    Failure,
    Hello,
    List,
    Listing,
    Message,
    Pair,
    Paused,
    Refusal,
    Welcome,
    expect,
)
from dtesx.wire.operations import Operations
from dtesx.wire.sums import Sums, SumsRequest

PROTOCOL = 1
"""Version of the protocol; both sides must have the same."""

LISTING_CREDIT = 4
"""Listing frames that a target may send ahead of the source's reading."""

_MAX_CREDIT = 64

M = TypeVar("M")


class Phase(Enum):
    """Where a connection stands."""

    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"


class SourceProtocol:
    """The source's end: what may arrive when, and what is still unacknowledged."""

    def __init__(self, *, job: str, roots: tuple[str, ...]) -> None:
        self.phase = Phase.GREETING
        self.hello = Hello(PROTOCOL, job, roots, __version__)
        self.in_flight = 0
        self._last = 0
        self._unacknowledged: deque[tuple[int, int]] = deque()
        self._listing: int | None = None
        self._committing: int | None = None

    def receive(self, frame: Frame) -> Message:
        """Check a frame against the state; returns its message.

        Raises Refused when the target does not let us in, the error of a Failure frame, and
        ProtocolError for anything out of place.
        """
        message = messages.decode(frame)
        if isinstance(message, (Refusal, Failure)):
            self.phase = Phase.CLOSED
            raise _ended(message)
        if self.phase is Phase.GREETING:
            welcome = expect(message, Welcome)
            if welcome.protocol != PROTOCOL:
                raise ProtocolError(f"the target answered in protocol {welcome.protocol}")
            self.phase = Phase.OPEN
            return message
        self._in_session(message)
        return message

    def _in_session(self, message: Message) -> None:
        if isinstance(message, Acknowledgement):
            self._acknowledged(message.applied)
        elif isinstance(message, Listing):
            if message.root != self._listing:
                raise ProtocolError("a listing arrived that nobody asked for")
            if message.last:
                self._listing = None
        elif isinstance(message, Committed):
            if message.root != self._committing:
                raise ProtocolError("a commit was confirmed that nobody asked for")
            self._committing = None
        elif not isinstance(message, (Paused, Sums)):
            raise ProtocolError(f"{type(message).__name__} is nothing that a target sends")

    def list_root(self, root: int, *, sums: bool = False) -> List:
        """The request for a root's listing."""
        self._listing = root
        return List(root, LISTING_CREDIT, sums)

    def commit_root(self, root: int) -> Commit:
        """The request to make a root durable."""
        self._committing = root
        return Commit(root)

    @property
    def committing(self) -> bool:
        """Whether a commit was asked for and is not confirmed."""
        return self._committing is not None

    def sent(self, sequence: int, size: int) -> None:
        """Note an operations frame of ``size`` bytes as on its way."""
        self._last = sequence
        self._unacknowledged.append((sequence, size))
        self.in_flight += size

    def _acknowledged(self, applied: int) -> None:
        if applied > self._last:
            raise ProtocolError(f"frame {applied} was acknowledged before it was sent")
        known = self._unacknowledged
        while known and known[0][0] <= applied:
            self.in_flight -= known.popleft()[1]


class TargetProtocol:
    """The target's end, once the source is let in. ``names`` are the replication roots it sends."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.credit = 0
        self._listing = False

    def receive(self, frame: Frame) -> Message:
        """Check a frame against the state; returns its message. Raises ProtocolError."""
        message = messages.decode(frame)
        if isinstance(message, (List, Commit, Operations, SumsRequest)):
            self._check_root(message.root)
        if isinstance(message, List):
            if self._listing:
                raise ProtocolError("a listing was asked for while another is under way")
            self._listing, self.credit = True, 0
            self._grant(message.credit)
        elif isinstance(message, Credit):
            self._grant(message.frames)
        elif not isinstance(message, (Operations, Commit, SumsRequest)):
            raise ProtocolError(f"{type(message).__name__} is nothing that a source sends")
        return message

    def _check_root(self, root: int) -> None:
        if not 0 <= root < len(self.names):
            raise ProtocolError(f"there is no replication root {root}")

    def _grant(self, frames: int) -> None:
        self.credit += frames
        if frames < 1 or self.credit > _MAX_CREDIT:
            raise ProtocolError(f"impossible listing credit {frames}")

    def listed(self, *, last: bool) -> None:
        """Note a listing frame as sent."""
        self.credit -= 1
        self._listing = not last


def opening(frame: Frame) -> Hello | Pair:
    """The message with which a source opens a connection.

    Raises Refused when it speaks another version, and ProtocolError when it is no opening at all.
    """
    message = messages.decode(frame)
    if not isinstance(message, (Hello, Pair)):
        raise ProtocolError(f"{type(message).__name__} arrived where Hello was due")
    if message.protocol != PROTOCOL:
        raise Refused(
            f"the target speaks protocol {PROTOCOL}, the source {message.protocol}",
            hint="install the same version of dtesx on both",
        )
    return message


def answer(frame: Frame, cls: type[M]) -> M:
    """The target's answer to an opening, as ``cls``; raises the error with which it was refused."""
    message = messages.decode(frame)
    if isinstance(message, (Refusal, Failure)):
        raise _ended(message)
    return expect(message, cls)


def refusal(error: DtesxError) -> Refusal:
    """The frame that tells a source why it is not let in."""
    return Refusal(error.code, error.message, error.hint, PROTOCOL)


def failure(error: DtesxError) -> Failure:
    """The frame that tells a source why the session ends."""
    return Failure(error.code, error.message, error.hint)


def _ended(message: Refusal | Failure) -> DtesxError:
    error = from_code(message.code, message.message, message.hint)
    if isinstance(message, Refusal) and type(error) is DtesxError:  # a code of another version
        return Refused(message.message, hint=message.hint)
    return error
