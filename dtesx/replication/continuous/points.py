"""Recovery points that somebody waits for: epochs with all that was written before somebody asked."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.replication import Point


@dataclass(eq=False)
class Ticket:
    """Somebody waits for a point; ``point`` is there when ``reached`` is set."""

    consistent: bool
    reached: threading.Event = field(default_factory=threading.Event)
    point: Point | None = None


class Points:
    """Who waits, and for which epoch.

    ``ask`` and ``forget`` are for any thread, the rest is for the replication's. A ticket
    is *asked* until a drain begins, *gathered* until an epoch is made of what was drained, *sent* until
    that one is applied.
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

    def ask(self, *, consistent: bool) -> Ticket:
        """Wait for an epoch with all that is written by now."""
        ticket = Ticket(consistent)
        with self._lock:
            self._asked.append(ticket)
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._asked = _without(ticket, self._asked)
            self._gathered = _without(ticket, self._gathered)
            self._sent = [(epoch, other) for epoch, other in self._sent if other is not ticket]

    def gather(self) -> None:
        """A drain begins: it will tell of all that was written before the tickets were asked for."""
        with self._lock:
            self._gathered += self._asked
            self._asked = []

    def sent(self, epoch: Epoch) -> None:
        """``epoch`` is made of all that was drained. Who wants one that is not fuzzy waits on if it is."""
        fuzzy = epoch.kind is EpochKind.FUZZY
        with self._lock:
            self._sent += [(epoch, ticket) for ticket in self._gathered if not (fuzzy and ticket.consistent)]
            self._gathered = [ticket for ticket in self._gathered if fuzzy and ticket.consistent]

    def give_up_consistent(self) -> None:
        """No epoch will be consistent: what is to be had is a fuzzy one."""
        with self._lock:
            for ticket in (*self._asked, *self._gathered):
                ticket.consistent = False

    def lost(self) -> None:
        """What was sent is sent again, in another epoch."""
        with self._lock:
            self._gathered += [ticket for _, ticket in self._sent]
            self._sent = []

    def applied(self, number: int, failed: int) -> None:
        """The target has all up to the epoch ``number``, but for ``failed`` paths."""
        with self._lock:
            reached = [(epoch, ticket) for epoch, ticket in self._sent if epoch.number <= number]
            self._sent = [(epoch, ticket) for epoch, ticket in self._sent if epoch.number > number]
        for epoch, ticket in reached:
            ticket.point = Point(epoch.number, epoch.kind, epoch.taken, failed)
            ticket.reached.set()


def _without(ticket: Ticket, tickets: Iterable[Ticket]) -> list[Ticket]:
    return [other for other in tickets if other is not ticket]
