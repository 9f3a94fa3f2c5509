"""What jobs will make, or have made; nothing is changed by asking."""

from __future__ import annotations

import threading
import time

from dtesx.management.store import Store
from dtesx.model.job import JobSpec, JobState
from dtesx.model.plan import JobPlan
from dtesx.model.record import JobRecord
from dtesx.recovery import protect
from dtesx.recovery.ports import Site


class Plans:
    """Makes plans; ``cancel`` is set when the service ends."""

    def __init__(self, store: Store, site: Site, cancel: threading.Event) -> None:
        self._store, self._site, self._cancel = store, site, cancel

    def make(self, spec: JobSpec) -> JobPlan:
        """What a job would make now: asks its source and vSphere.

        Raises NotFound when one of them is not known, ConnectionFailed when it is away, UsageError for
        options that do not fit the source.
        """
        return self._planned(JobRecord("", spec, JobState.CREATED, time.time()))

    def of(self, name: str) -> JobPlan:
        """What a job has made, or will make when it did not come so far."""
        return self._planned(self._store.job(name))

    def _planned(self, record: JobRecord) -> JobPlan:
        with self._site(record, self._cancel) as site:
            inventory = protect.inventory_of(record) if record.replica_ref else site.source.inventory()
            return protect.job_plan(record, site, inventory)
