"""Jobs whose vSphere and disks are real; their source and worker are those of a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dtesx.model.api import MirrorStatus
from dtesx.model.inventory import Inventory
from dtesx.model.job import JobSpec, JobState, Operation, OperationKind
from dtesx.model.record import JobRecord
from dtesx.model.replica import ReplicaSpec
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.model.target import WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.model.vmware import VirtualMachine
from dtesx.recovery import protect
from dtesx.recovery.operations import execute, interrupt, new_operation, resume
from dtesx.recovery.ports import Surroundings
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.session import Session
from tests.unit.recovery.world import Killed, World

from .conftest import APPLIANCE, STORE, Site

Disks = Callable[[str], Path]


@dataclass
class Surrounded(World):
    """A world with a real vSphere. ``changes`` are what it was asked for; after ``last`` the process dies."""

    site: Site | None = None
    changes: int = 0
    last: int = 0
    records: dict[str, JobRecord] = field(default_factory=dict)

    @contextmanager
    def login(self) -> Iterator[VSphere]:
        assert self.site is not None
        with self.site.login() as vsphere:
            yield vsphere

    def surroundings(self) -> Surroundings:
        with self.login() as vsphere:
            uuid = vsphere.find_vm(APPLIANCE).instance_uuid
        login: Callable[[], AbstractContextManager[VSphere]] = self.login
        return replace(super().surroundings(), vsphere=login, appliance_vm=uuid)

    def start(self, spec: WorkerSpec) -> WorkerStatus:
        held = {disk.uuid for disk in self.appliance().disks}
        assert set(spec.disk_uuids) <= held, "worker without its disks"
        self.worker = True
        return WorkerStatus(WorkerPhase.LISTENING, 1)

    def start_mirror(self, request: MirrorRequest) -> MirrorStatus:
        return MirrorStatus(request.job, MirrorPhase.RUNNING)

    def appliance(self) -> VirtualMachine:
        with self.login() as vsphere:
            return vsphere.find_vm(APPLIANCE)

    def disk(self, uuid: str) -> Path:
        """Where the appliance finds a disk: the file's data, as long as it holds it."""
        assert self.site is not None
        held = next(disk for disk in self.appliance().disks if disk.uuid == uuid)
        return self.site.file(held.path)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().patch(monkeypatch)
        monkeypatch.setattr(protect, "find_disk", self.disk)
        asked = Session.change

        def change(session: Session, action: Callable[[], Any]) -> Any:
            answer = asked(session, action)
            self.changes += 1
            if self.changes == self.last:
                raise Killed
            return answer

        monkeypatch.setattr(Session, "change", change)

    def run(self, kind: OperationKind, job: JobRecord, **params: str) -> tuple[Operation, JobRecord]:
        """An operation to its end, or to the death of its process, after which it is resumed."""
        operation = new_operation(job, kind, params)
        self.save_job(job)
        self.save_operation(operation)
        try:
            return execute(operation, job, self.surroundings())
        except Killed:
            operation, job = interrupt(self.operations[-1]), self.jobs[-1]
            return execute(resume(operation), job, self.surroundings())


def job(name: str, inventory: Inventory, **replica: Any) -> tuple[JobRecord, Inventory]:
    """A new job of such a source."""
    spec = JobSpec(name, "alpha", "vc", ReplicaSpec(STORE, **replica))
    return JobRecord(f"id-{name}", spec, JobState.CREATED, 0.0), inventory
