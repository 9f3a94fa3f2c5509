"""Recovery points at set times: jobs that are due take theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dtesx.base.errors import Conflict, DtesxError
from dtesx.base.log import get_logger
from dtesx.management.jobs import Jobs
from dtesx.management.store import Store
from dtesx.model.api import NewSnapshot
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.snapshots import MIN_SECONDS, SCHEDULED

log = get_logger(__name__)

_INTERVAL = 15.0
_END_SECONDS = 10.0
_AT_WORK = (JobState.PROTECTED, JobState.SNAPSHOT_FAILED)


class SnapshotTimer:
    """Looks four times a minute which jobs are due; ``cancel`` ends it.

    When one was taken last is in the job's record. One that failed is tried again after ten minutes, one
    whose job is busy at once when it is not any more.
    """

    def __init__(
        self, store: Store, jobs: Jobs, cancel: threading.Event, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._jobs, self._cancel, self._clock = store, jobs, cancel, clock
        self._tried: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="snapshot-timer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the end, which ``cancel`` brought about."""
        self._thread.join(_END_SECONDS)

    def look(self) -> None:
        """Have those that are due take a recovery point."""
        for record in self._store.jobs():
            if record.state in _AT_WORK and self._due(record):
                self._take(record)

    def _due(self, record: JobRecord) -> bool:
        now = self._clock()
        waited = now - self._tried.get(record.id, 0.0) >= MIN_SECONDS
        return waited and record.spec.snapshots.due(now, record.snapshot_at)

    def _take(self, record: JobRecord) -> None:
        try:
            self._jobs.take_snapshot(record.spec.name, NewSnapshot(SCHEDULED))
        except Conflict as error:
            log.debug("a recovery point is due, but the job is busy", job=record.spec.name, why=error.message)
            return
        except DtesxError as error:
            log.warning("a recovery point cannot be taken", job=record.spec.name, reason=error.message)
        self._tried[record.id] = self._clock()

    def _run(self) -> None:
        while not self._cancel.wait(_INTERVAL):
            self.look()
