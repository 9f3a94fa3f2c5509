"""What users change about a job at work: mirror, replication and target pause, go on, stop or slow down."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dtesx.base.errors import Conflict, NotFound
from dtesx.management.store import Store
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch
from dtesx.model.request import FINAL_PHASES
from dtesx.model.target import Paused
from dtesx.recovery import replication
from dtesx.recovery.ports import Site, Source, Workers


class Steering:
    """Mirrors and replications of all jobs, and their targets. Raises NotFound when there is no such job."""

    def __init__(self, store: Store, workers: Workers, site: Site, cancel: threading.Event) -> None:
        self._store, self._workers, self._site, self._cancel = store, workers, site, cancel

    def pause_target(self, name: str) -> Paused:
        """Have the job's target apply nothing more, whether a mirror is under way or not."""
        return self._workers.pause(self._store.job(name).id)

    def resume_target(self, name: str) -> Paused:
        """Have the job's target go on."""
        return self._workers.resume(self._store.job(name).id)

    def limit(self, name: str, bandwidth: int | None) -> None:
        """Set the limit of the job's mirrors and replication (NewBandwidth); those under way learn of it."""
        self._store.set_bandwidth(self._store.job(name).id, bandwidth)

    # --- these raise Conflict when the job neither mirrors nor replicates

    def pause(self, name: str) -> None:
        """Have the source's mirror wait where it is, or its replication."""
        self._steer(name, lambda source, record: source.pause_mirror(record.id), ReplicationSwitch.PAUSED)

    def resume(self, name: str) -> None:
        """Have a paused mirror go on where it was, or a paused or stopped replication."""
        self._steer(name, lambda source, record: source.resume_mirror(record.id), ReplicationSwitch.ON)

    def stop(self, name: str) -> None:
        """End the mirror; its operation fails, and can be repeated. Or the replication, until a mirror."""
        self._steer(name, lambda source, record: source.stop_mirror(record.id), ReplicationSwitch.STOPPED)

    def _steer(
        self, name: str, mirror: Callable[[Source, JobRecord], None], switch: ReplicationSwitch
    ) -> None:
        record = self._store.job(name)
        with self._site(record, self._cancel) as site:
            try:
                if site.source.mirror_status(record.id).phase not in FINAL_PHASES:
                    mirror(site.source, record)
                    return
            except NotFound:
                pass  # it ended meanwhile, or there was none since the source started
            if replication.steerable(record):
                self._store.set_replication(record.id, switch)
                replication.ask(record, site)
                return
        raise Conflict(
            f"{name} neither mirrors nor replicates now", hint=f"start a mirror: dtesx job mirror {name}"
        )
