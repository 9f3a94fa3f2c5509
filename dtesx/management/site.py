"""One job's surroundings, put together from what the appliance knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.management.source_client import SourceClient
from dtesx.management.store import Store
from dtesx.management.vmware import Vmware
from dtesx.model.record import JobRecord
from dtesx.model.tasks import Task
from dtesx.recovery.ports import Surroundings, Workers


@dataclass(frozen=True)
class ApplianceSite:
    """Makes surroundings; ``jobs`` is the directory of all jobs, ``identity`` the appliance's.

    ``tasks`` are those that any job may have run.
    """

    store: Store
    vmware: Vmware
    workers: Workers
    certificate: str
    jobs: Path
    identity: Path
    tasks: Mapping[str, Task]

    @contextmanager
    def __call__(self, record: JobRecord, cancel: threading.Event) -> Iterator[Surroundings]:
        """The surroundings of one job. Raises NotFound when its source or VMware server is gone."""
        known = self.store.vmware(record.spec.vmware)
        server = self.store.server(record.spec.source)
        with closing(SourceClient(server)) as source:
            yield Surroundings(
                source=source,
                vsphere=lambda: self.vmware.session(known.server, known.password),
                workers=self.workers,
                journal=self.store,
                certificate=self.certificate,
                appliance_vm=known.appliance_uuid,
                directory=self.jobs / record.id,
                identity_directory=self.identity,
                tasks=self.tasks,
                cancel=cancel,
            )
