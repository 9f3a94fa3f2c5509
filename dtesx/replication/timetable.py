"""A transmission plan at work: when a mirror's streams are held back, and which rate they may have."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from dtesx.model.transmission import Transmission
from dtesx.replication.schedule import Queued, Scheduler, Why


class Timetable:
    """Decides again and again whether frames may travel, and how fast.

    ``limit`` (bytes/s, 0 for none) holds beside the plan's. ``now`` gives the local time, ``clock``
    monotonic seconds.
    """

    def __init__(
        self,
        plan: Transmission,
        limit: int,
        *,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = Scheduler(plan, now())
        self._limit = limit
        self._now = now
        self._clock = clock
        self.holding = False
        self.bandwidth = limit

    def look(self, queued: Queued, sent: int, *, waits: bool) -> bool:
        """Whether frames may travel now; ``holding`` tells whether some wait for the plan.

        ``bandwidth`` is the limit of now (bytes/s), 0 for none.

        ``sent`` counts all bytes sent so far. ``waits`` says that the mirror cannot go on before
        something of it arrives: its queue will not become fuller, so a threshold counts as reached.
        """
        if waits:
            queued = Queued(queued.bytes, 100.0)
        decision = self._scheduler.look(self._now(), self._clock(), queued, sent)
        limits = [rate for rate in (self._limit, decision.bandwidth) if rate]
        self.bandwidth = min(limits, default=0)
        self.holding = not decision.transmit and decision.why is not Why.EMPTY
        return decision.transmit
