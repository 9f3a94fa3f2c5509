"""Recovery points that somebody waits for, and the tasks that run on the target when they are reached."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from dtesx.model.epoch import Epoch, EpochKind, InsertedTask
from dtesx.model.replication import Point
from dtesx.model.tasks import TaskResult


@dataclass(eq=False)
class Ticket:
    """Somebody waits for a point, an epoch with all that was written before somebody asked.

    ``point`` is there when ``reached`` is set; with a ``task`` that is when this has ended, as
    ``result`` says.
    """

    consistent: bool
    task: InsertedTask | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    point: Point | None = None
    result: TaskResult | None = None


class Points:
    """Who waits, and for which epoch.

    ``ask`` and ``forget`` are for any thread, the rest is for the replication's. A ticket
    is *asked* until a drain begins, *gathered* until an epoch is made of what was drained, *sent* until
    that one is applied and its task has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[Ticket] = []
        self._gathered: list[Ticket] = []
        self._sent: list[tuple[Epoch, Ticket]] = []

    @property
    def asked(self) -> bool:
        """Whether somebody waits for the next drain."""
        return bool(self._asked)

    @property
    def gathered(self) -> bool:
        """Whether somebody waits for an epoch of what was drained."""
        return bool(self._gathered)

    @property
    def consistent(self) -> bool:
        """Whether what is asked or gathered is to be no fuzzy epoch."""
        with self._lock:
            return any(ticket.consistent for ticket in (*self._asked, *self._gathered))

    def ask(self, *, consistent: bool, task: str = "") -> Ticket:
        """Wait for an epoch with all that is written by now, and for the end of a task that follows it."""
        ticket = Ticket(consistent, InsertedTask(secrets.token_hex(16), task) if task else None)
        with self._lock:
            self._asked.append(ticket)
        return ticket

    def forget(self, ticket: Ticket) -> bool:
        """Nobody waits for it any more. Returns whether it is on its way all the same."""
        with self._lock:
            sent = any(other is ticket for _, other in self._sent)
            self._asked = _without(ticket, self._asked)
            self._gathered = _without(ticket, self._gathered)
            self._sent = [(epoch, other) for epoch, other in self._sent if other is not ticket]
        return sent

    def gather(self) -> None:
        """A drain begins: it will tell of all that was written before the tickets were asked for."""
        with self._lock:
            self._gathered += self._asked
            self._asked = []

    def ungather(self) -> None:
        """There is no epoch of what was drained: who waits for any is to have the next one."""
        with self._lock:
            self._asked += [ticket for ticket in self._gathered if not ticket.consistent]
            self._gathered = [ticket for ticket in self._gathered if ticket.consistent]

    def sent(self, epoch: Epoch) -> list[InsertedTask]:
        """``epoch`` is made of all that was drained. Who wants one that is not fuzzy waits on if it is.

        Returns the tasks that run when it is applied.
        """
        fuzzy = epoch.kind is EpochKind.FUZZY
        with self._lock:
            self._sent += [(epoch, ticket) for ticket in self._gathered if not (fuzzy and ticket.consistent)]
            self._gathered = [ticket for ticket in self._gathered if fuzzy and ticket.consistent]
            return [ticket.task for sent, ticket in self._sent if sent is epoch and ticket.task is not None]

    def give_up_consistent(self) -> None:
        """No epoch will be consistent: what is to be had is a fuzzy one."""
        with self._lock:
            for ticket in (*self._asked, *self._gathered):
                ticket.consistent = False

    def lost(self) -> None:
        """What was sent is sent again, in another epoch. A task that the target knows is not run again."""
        with self._lock:
            self._gathered += [ticket for _, ticket in self._sent]
            self._sent = []

    def applied(self, number: int, failed: int) -> None:
        """The target has all up to the epoch ``number``, but for ``failed`` paths."""
        with self._lock:
            reached = [(epoch, ticket) for epoch, ticket in self._sent if _reached(epoch, ticket, number)]
            self._sent = [one for one in self._sent if one not in reached]
        for epoch, ticket in reached:
            ticket.point = Point(epoch.number, epoch.kind, epoch.taken, failed)
            ticket.reached.set()

    def ended(self, result: TaskResult, failed: int) -> None:
        """A task has ended when the target had all up to its epoch, but for ``failed`` paths."""
        with self._lock:
            sent = [(epoch, ticket) for epoch, ticket in self._sent if _asks(ticket, result)]
            gathered = [ticket for ticket in self._gathered if _asks(ticket, result)]
            self._sent = [one for one in self._sent if one not in sent]
            self._gathered = [ticket for ticket in self._gathered if ticket not in gathered]
        epoch = result.epoch
        for ticket in (*gathered, *(ticket for _, ticket in sent)):
            ticket.point = Point(epoch.number, epoch.kind, epoch.taken, failed)
            ticket.result = result
            ticket.reached.set()


def _reached(epoch: Epoch, ticket: Ticket, number: int) -> bool:
    return epoch.number <= number and ticket.task is None


def _asks(ticket: Ticket, result: TaskResult) -> bool:
    return ticket.task is not None and ticket.task.id == result.id


def _without(ticket: Ticket, tickets: Iterable[Ticket]) -> list[Ticket]:
    return [other for other in tickets if other is not ticket]
