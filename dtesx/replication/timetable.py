"""A transmission plan at work: holds a mirror's streams back and limits their rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from dtesx.model.transmission import Transmission
from dtesx.replication.schedule import Queued, Scheduler, Why
from dtesx.wire.limiter import Limiter


class Timetable:
    """Decides again and again whether frames may travel; sets the rate of ``limiter`` meanwhile.

    ``now`` gives the local time, ``clock`` monotonic seconds.
    """

    def __init__(
        self,
        plan: Transmission,
        limiter: Limiter,
        *,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = Scheduler(plan, now())
        self._limiter = limiter
        self._limit = limiter.rate
        self._now = now
        self._clock = clock
        self.holding = False

    def look(self, queued: Queued, sent: int, *, waits: bool) -> bool:
        """Whether frames may travel now; ``holding`` tells whether some wait for the plan.

        ``sent`` counts all bytes sent so far. ``waits`` says that the mirror cannot go on before
        something of it arrives: its queue will not become fuller, so a threshold counts as reached.
        """
        if waits:
            queued = Queued(queued.bytes, 100.0)
        decision = self._scheduler.look(self._now(), self._clock(), queued, sent)
        limits = [rate for rate in (self._limit, decision.bandwidth) if rate]
        self._limiter.rate = min(limits, default=0)
        self.holding = not decision.transmit and decision.why is not Why.EMPTY
        return decision.transmit
