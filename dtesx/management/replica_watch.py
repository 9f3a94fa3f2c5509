"""Whether vSphere answers and still has the replicas: looked at now and then, so that jobs can tell."""

from __future__ import annotations

import threading

from dtesx.base.errors import DtesxError, Refused
from dtesx.base.log import get_logger
from dtesx.management.records import KnownVmware
from dtesx.management.store import Store
from dtesx.management.vmware import Vmware
from dtesx.model.job import JobState, Problem
from dtesx.model.record import JobRecord
from dtesx.recovery import transfer
from dtesx.recovery.examining import disks_gone
from dtesx.recovery.run import problem_of
from dtesx.vsphere.client import VSphere

log = get_logger(__name__)

_INTERVAL = 60.0
_END_SECONDS = 10.0
_OVER = (JobState.FAILED_OVER, JobState.DELETING, JobState.DELETE_FAILED)


class ReplicaWatch:
    """Asks each VMware server once a minute about the replicas of its jobs; ``cancel`` ends it.

    Replication needs no vSphere. So a server that is away changes nothing but what jobs tell.
    """

    def __init__(self, store: Store, vmware: Vmware, cancel: threading.Event) -> None:
        self._store, self._vmware, self._cancel = store, vmware, cancel
        self._problems: dict[str, Problem | None] = {}
        self._refused: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._run, name="replica-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the end, which ``cancel`` brought about."""
        self._thread.join(_END_SECONDS)

    def problem(self, record: JobRecord) -> Problem | None:
        """What was wrong with a job's replica, or its VMware server, when it was looked at last."""
        return self._problems.get(record.id)

    def look(self, name: str) -> None:
        """Ask one VMware server about the replicas of its jobs."""
        known = self._store.vmware(name)
        records = [record for record in self._store.jobs() if _has_replica(record, name)]
        # A password that was refused is not tried again: vCenter locks accounts after a few.
        if not records or (name, known.password) in self._refused:
            return
        try:
            found = self._asked(known, records)
        except DtesxError as error:
            if isinstance(error, Refused):
                self._refused.add((name, known.password))
            found = {record.id: problem_of(error) for record in records}
        for record in records:
            self._note(record, found[record.id])

    def _asked(self, known: KnownVmware, records: list[JobRecord]) -> dict[str, Problem | None]:
        with self._vmware.session(known.server, known.password) as vsphere:
            return {record.id: _problem(record, vsphere) for record in records}

    def _note(self, record: JobRecord, problem: Problem | None) -> None:
        if self._problems.get(record.id) != problem:
            if problem is None:
                log.info("the replica is in order again", job=record.spec.name)
            else:
                log.warning("the replica is not in order", job=record.spec.name, reason=problem.message)
        self._problems[record.id] = problem

    def _run(self) -> None:
        busy: dict[str, threading.Thread] = {}
        while not self._cancel.wait(_INTERVAL):
            for known in self._store.all_vmware():
                name = known.server.name
                if not (name in busy and busy[name].is_alive()):
                    # One for each, as a server that is away keeps its own jobs waiting and no others.
                    busy[name] = threading.Thread(
                        target=self.look, args=(name,), name=f"replicas-{name}", daemon=True
                    )
                    busy[name].start()


def _has_replica(record: JobRecord, vmware: str) -> bool:
    return record.spec.vmware == vmware and bool(record.replica_ref) and record.state not in _OVER


def _problem(record: JobRecord, vsphere: VSphere) -> Problem | None:
    try:
        return disks_gone(record, transfer.replica(record, vsphere))
    except DtesxError as error:
        return problem_of(error)
