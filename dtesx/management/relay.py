"""What the sources of jobs answer about their replications, passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from dtesx.base.errors import Conflict
from dtesx.management.records import PairedServer
from dtesx.management.source_client import SourceClient
from dtesx.management.store import Store
from dtesx.model.api import TaskInsertion
from dtesx.model.replication import ReplicationSample
from dtesx.model.tasks import TaskRequest


class Relay:
    """Passes on what is asked about a job, by its name, to its source.

    Raises NotFound when there is no such job, Conflict when it does not replicate, and what the source does.
    """

    def __init__(self, store: Store, connect: Callable[[PairedServer], SourceClient] = SourceClient) -> None:
        self._store, self._connect = store, connect

    def insert_task(self, name: str, request: TaskRequest) -> TaskInsertion:
        """Have a task inserted into the job's replication."""
        with self._source(name) as (source, job):
            return source.insert_task(job, request)

    def task(self, name: str, number: str) -> TaskInsertion:
        """What came of it so far."""
        with self._source(name) as (source, job):
            return source.task(job, number)

    def history(self, name: str, since: float) -> Sequence[ReplicationSample]:
        """The history of the job's replication from the Unix time ``since`` on."""
        with self._source(name) as (source, job):
            return source.replication_history(job, since)

    @contextmanager
    def _source(self, name: str) -> Iterator[tuple[SourceClient, str]]:
        record = self._store.job(name)
        if not record.spec.replication.enabled:
            raise Conflict(f"{name} only mirrors", hint="its job file says so: replication.enabled")
        with closing(self._connect(self._store.server(record.spec.source))) as source:
            yield source, record.id
