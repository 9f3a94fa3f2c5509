"""Whether a replication may send now, and how fast: by its plan, and by what was asked of it."""

from __future__ import annotations

from dtesx.model.mirror import LinkOptions
from dtesx.model.queue import QueueLimits
from dtesx.model.replication import ReplicationPhase
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.control import MirrorControl
from dtesx.replication.schedule import Queued
from dtesx.replication.source_session import SourceSession
from dtesx.replication.timetable import Timetable
from dtesx.wire.limiter import Limiter

_NOTHING = Queued(0, 0.0)
_ALL = Queued(1, 100.0)


class Permission:
    """Binds sessions to the plan of ``link`` and to ``control``; ``limiter`` has the rate of now."""

    def __init__(self, link: LinkOptions, control: MirrorControl) -> None:
        self.limiter = Limiter(link.bandwidth)
        self._link = link
        self._control = control
        self._timetable = Timetable(link.plan, link.bandwidth) if link.plan is not None else None
        self._room = (link.ahead or QueueLimits()).memory
        self._behind = _NOTHING
        self._early = False

    def expect(self, session: SourceSession, pending: Pending, *, mirroring: bool) -> None:
        """Look at what is to be sent next, and what of it the plan lets go now."""
        if self._timetable is not None:
            self.apply(session)  # a session that has sent all it began with ends here
            self._behind = self._waiting(session, pending, mirroring=mirroring)
        self.apply(session)

    def sent(self) -> None:
        """What was expected was sent."""
        self._behind = _NOTHING

    def _waiting(self, session: SourceSession, pending: Pending, *, mirroring: bool) -> Queued:
        if mirroring or pending.latest is None or pending.unknown():
            return _ALL
        if session.level.bytes:
            return _NOTHING  # with what is on its way a session ends, whatever changed since
        volume = pending.volume()
        return Queued(volume, 100.0 if pending.blurred else 100 * volume / self._room)

    def apply(self, session: SourceSession | None) -> None:
        """Have the plan bind a session; to be called at every tick."""
        if self._timetable is not None and session is not None:
            self._early = not session.schedule(self._timetable, self._behind)
        rate = self._control.bandwidth
        if rate is None:
            rate = self._link.bandwidth if self._timetable is None else self._timetable.bandwidth
        self.limiter.rate = rate

    @property
    def held(self) -> ReplicationPhase | None:
        """Why nothing more is to be sent."""
        if self._control.paused:
            return ReplicationPhase.PAUSED
        return ReplicationPhase.SCHEDULED if self._early and self._behind.bytes else None

    def sends(self, pending: Pending) -> bool:
        """Whether what changed may go now, if something did."""
        return self.held is None and (self._timetable is None or bool(self._behind.bytes) or not pending)
