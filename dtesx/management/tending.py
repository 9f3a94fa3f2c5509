"""Jobs that replicate are kept at it: what ended is started again, and what their sources tell is known."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.management.store import Store
from dtesx.model.api import JobReplication
from dtesx.model.job import Problem
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationReport
from dtesx.recovery import replication
from dtesx.recovery.ports import Site, Surroundings, Workers
from dtesx.recovery.replication import kept
from dtesx.replication.continuous.reporting import ended

log = get_logger(__name__)

_INTERVAL = 2.0
_END_SECONDS = 10.0


class Tending:
    """Looks after each job that replicates, every two seconds, while no operation works on it.

    ``cancel`` ends it. Nothing here is kept: what a job is to do is in its record, and a source that was
    restarted is asked again.
    """

    def __init__(self, store: Store, workers: Workers, site: Site, cancel: threading.Event) -> None:
        self._store, self._workers, self._site, self._cancel = store, workers, site, cancel
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._told: dict[str, tuple[ReplicationReport | None, Problem | None]] = {}
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the end, which ``cancel`` brought about."""
        self._thread.join(_END_SECONDS)

    @contextmanager
    def turn(self, job: str) -> Iterator[None]:
        """An operation works on the job (by its id): it is left alone meanwhile."""
        with self._turns[job]:
            yield

    def shown(self, record: JobRecord) -> JobReplication | None:
        """How a job replicates; None when it only mirrors."""
        if not record.spec.replication.enabled:
            return None
        switch, epoch = self._store.replication(record.id), self._workers.epoch(record.id)
        report, problem = self._told.get(record.id, (None, None))
        if report is not None and not (report.running and kept(record)):
            report = ended(report, time.time())
        return JobReplication(switch, epoch, report, problem)

    def tend(self, record: JobRecord) -> None:
        """Look after one job, unless an operation works on it."""
        try:
            with self._site(record, self._cancel) as site:
                if not self._revived(record, site):
                    return
                told = replication.ask(record, site)
                if self._present(record) is None:  # an operation began meanwhile, and may have stopped it
                    told = replication.stop(record, site)
        except DtesxError as error:
            self._failed(record, Problem(error.code, error.message, error.hint))
        else:
            if told is not None:
                self._told[record.id] = told.report, told.problem

    def _revived(self, record: JobRecord, site: Surroundings) -> bool:
        """See to it that there is a worker; False when that is not to be done now."""
        turn = self._turns[record.id]
        if not turn.acquire(blocking=False):
            return False
        try:
            now = self._present(record)
            if now is not None:
                replication.revive(now, site)
            return now is not None
        finally:
            turn.release()

    def _present(self, record: JobRecord) -> JobRecord | None:
        """The job as it is now; None when it is not to replicate by itself any more."""
        now = self._store.find_job(record.spec.name)
        return now if now is not None and now.id == record.id and kept(now) else None

    def _failed(self, record: JobRecord, problem: Problem) -> None:
        report, before = self._told.get(record.id, (None, None))
        if before != problem:
            log.warning("a job does not replicate", job=record.spec.name, reason=problem.message)
        self._told[record.id] = None if report is None else replace(report, running=False), problem

    def _run(self) -> None:
        busy: dict[str, threading.Thread] = {}
        while not self._cancel.wait(_INTERVAL):
            for record in self._store.jobs():
                if kept(record) and not (record.id in busy and busy[record.id].is_alive()):
                    # One for each, as a source that is away keeps its own job waiting and no other.
                    busy[record.id] = threading.Thread(
                        target=self.tend, args=(record,), name=f"tend-{record.spec.name}", daemon=True
                    )
                    busy[record.id].start()
