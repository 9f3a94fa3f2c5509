"""What users change about a job while it runs: its mirror and its target pause, go on, stop or slow down."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dtesx.base.errors import Conflict, NotFound
from dtesx.management.jobs import Site
from dtesx.management.store import Store
from dtesx.model.record import JobRecord
from dtesx.model.request import FINAL_PHASES
from dtesx.model.target import Paused
from dtesx.recovery.ports import Source, Workers


class Steering:
    """The mirrors under way of all jobs, and their targets. Raises NotFound when there is no such job."""

    def __init__(self, store: Store, workers: Workers, site: Site, cancel: threading.Event) -> None:
        self._store, self._workers, self._site, self._cancel = store, workers, site, cancel

    def pause_target(self, name: str) -> Paused:
        """Have the job's target apply nothing more, whether a mirror is under way or not."""
        return self._workers.pause(self._store.job(name).id)

    def resume_target(self, name: str) -> Paused:
        """Have the job's target go on."""
        return self._workers.resume(self._store.job(name).id)

    def limit(self, name: str, bandwidth: int | None) -> None:
        """Set the limit of the job's mirrors (NewBandwidth); the one under way learns of it soon."""
        self._store.set_bandwidth(self._store.job(name).id, bandwidth)

    # --- these raise Conflict when the job's mirror is not under way

    def pause(self, name: str) -> None:
        """Have the source's mirror wait where it is."""
        self._steer(name, lambda source, record: source.pause_mirror(record.id))

    def resume(self, name: str) -> None:
        """Have a paused mirror go on where it was."""
        self._steer(name, lambda source, record: source.resume_mirror(record.id))

    def stop(self, name: str) -> None:
        """End the mirror; the operation that it belongs to fails, and can be repeated."""
        self._steer(name, lambda source, record: source.stop_mirror(record.id))

    def _steer(self, name: str, action: Callable[[Source, JobRecord], None]) -> None:
        record = self._store.job(name)
        with self._site(record, self._cancel) as site:
            try:
                if site.source.mirror_status(record.id).phase not in FINAL_PHASES:
                    action(site.source, record)
                    return
            except NotFound:
                pass  # it ended meanwhile, or there was none since the source started
        raise Conflict(f"no mirror of {name} is under way", hint=f"start one: dtesx job mirror {name}")
