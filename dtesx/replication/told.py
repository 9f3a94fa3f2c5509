"""What a target has told its source over one stream."""

from __future__ import annotations

from collections import deque

from dtesx.base.log import get_logger
from dtesx.model.epoch import Epoch
from dtesx.model.request import MirrorPhase
from dtesx.model.roots import ReplicaRoot
from dtesx.model.tasks import TaskResult
from dtesx.wire.errors import ProtocolError
from dtesx.wire.messages import (
    Answer,
    EpochApplied,
    EpochKept,
    Hold,
    Listing,
    Message,
    Paused,
    Replicas,
    Resumed,
    TaskEnded,
)
from dtesx.wire.sums import Sums

log = get_logger(__name__)

REASON = 300
"""Characters of a reason that are kept: a target must not fill our memory."""

_HELD = {Hold.FULL: MirrorPhase.TARGET_FULL, Hold.PAUSED: MirrorPhase.TARGET_PAUSED}


class Told:
    """Takes the target's messages one by one and keeps what they come to; ``roots`` were asked for.

    ``replicas`` are the roots as they were on the target when it let us in. ``epoch`` is the one that it
    had applied last then, ``waiting`` the last one that waited there after that; ``applied`` is the
    number of the last one that it carried out since, 0 for none, ``kept`` of the last one that it has on
    disk. ``held`` says why it does not go on, ``reason`` the same for people; ``stopped``: nothing is to be
    sent meanwhile. ``results`` of tasks, ``listings``, ``answers`` and ``sums`` are there to be taken out.
    """

    def __init__(self, roots: int) -> None:
        self._roots = roots
        self.replicas: tuple[ReplicaRoot, ...] = ()
        self.epoch: Epoch | None = None
        self.waiting: Epoch | None = None
        self.applied = self.kept = 0
        self.held: MirrorPhase | None = None
        self.reason = ""
        self.stopped = False
        self.results: deque[TaskResult] = deque()
        self.listings: deque[Listing] = deque()
        self.answers: deque[Answer] = deque()
        self.sums: deque[Sums] = deque()

    def take(self, message: Message) -> None:
        """Take a message. Raises ProtocolError."""
        if isinstance(message, Sums):
            self.sums.append(message)
        elif isinstance(message, Answer):
            self.answers.append(message)
        elif isinstance(message, Listing):
            self.listings.append(message)
        elif isinstance(message, Replicas):
            self._introduced(message)
        elif isinstance(message, (Paused, Resumed)):
            self._waits_or_not(message)
        elif isinstance(message, TaskEnded):
            self.results.append(message.result)
        elif isinstance(message, EpochApplied):
            self.kept = self.applied = message.number
        elif isinstance(message, EpochKept):
            self.kept = message.number

    def _introduced(self, message: Replicas) -> None:
        if len(message.roots) != self._roots:
            raise ProtocolError("the target tells of other roots than it was asked for")
        self.replicas, self.epoch = message.roots, message.epoch
        self.waiting = message.kept if message.kept != message.epoch else None

    def _waits_or_not(self, message: Paused | Resumed) -> None:
        if isinstance(message, Resumed):
            self.held, self.reason, self.stopped = None, "", False
            return
        self.reason = message.reason[:REASON]
        if self.held is None:
            log.warning("the target waits", why=message.why, reason=self.reason)
        self.held, self.stopped = _HELD.get(message.why), message.stop
