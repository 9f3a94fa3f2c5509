"""A fake appliance and a way to run command lines against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.errors import DtesxError, NotFound, UntrustedCertificate
from dtesx.cli import session, watching
from dtesx.cli.api import Api
from dtesx.cli.main import main
from dtesx.model.api import (
    FailoverRequest,
    JobInfo,
    NewRole,
    NewServer,
    NewSnapshot,
    NewVmware,
    ServerInfo,
    ServerInventory,
    ServiceStatus,
    SnapshotInfo,
    TaskInsertion,
    VmwareInfo,
)
from dtesx.model.job import (
    JobSpec,
    JobState,
    Operation,
    OperationKind,
    Problem,
    Step,
    StepState,
)
from dtesx.model.network import Nic
from dtesx.model.plan import JobPlan
from dtesx.model.replica import ReplicaSpec
from dtesx.model.replication import ReplicationSample
from dtesx.model.stats import MirrorStats, PathProblem
from dtesx.model.target import Paused
from dtesx.model.tasks import TaskRequest
from dtesx.model.validation import Check, Finding, Health, Repairs, Validation, Verdict
from dtesx.model.vmware import About, Datastore, Network, Offer
from dtesx.planning.plan import plan_job
from tests.unit.planning.sources import fs, inventory

THUMBPRINT = ":".join(["AB"] * 32)
INVENTORY = replace(
    inventory(fs("/", size=4 << 30), disk_bytes=4 << 30),
    nics=(Nic("eth0", "02:00:00:00:00:01", ("10.0.0.2/24",), ("10.0.0.1",)),),
)
OFFER = Offer(
    (Datastore("ds-1", "ds1", "VMFS", 100 << 30, 50 << 30),), (Network("n-1", "VM Network", False),), 1, 19
)


def operation(kind: OperationKind, state: StepState = StepState.DONE, **changes: Any) -> Operation:
    """An operation of two steps."""
    steps = (
        Step("one", "First thing", StepState.DONE, 100.0, 103.5),
        Step("two", "Second thing", state, 103.5, 110.0 if state is StepState.DONE else 0.0),
    )
    base = Operation(id="op1", job="id1", kind=kind, state=state, steps=steps, started=100.0)
    return replace(base, **changes)


@dataclass
class FakeApi:
    """Answers every call from memory; ``fail`` is raised instead, ``script`` feeds operation()."""

    fail: DtesxError | None = None
    script: list[Operation | BaseException] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    insertions: list[TaskInsertion] = field(default_factory=list)
    samples: tuple[ReplicationSample, ...] = ()
    validation: Validation = Validation("web", 1.0, ())
    job_info: JobInfo = field(
        default_factory=lambda: JobInfo(
            id="id1",
            spec=JobSpec("web", "alpha", "vc1", ReplicaSpec("ds1")),
            state=JobState.PROTECTED,
            created=1.0,
            mirror=MirrorStats(10, 3, 7, 2048, 1024, problems=(PathProblem("/x", "busy"),)),
            mirrored_at=5.0,
            health=Health(6.0, (Finding(Check.BOOT_MENU, Verdict.WARNING, "the menu is odd", "make one"),)),
        )
    )

    def _called(self, name: str, argument: Any = None) -> None:
        self.calls.append((name, argument))
        if self.fail is not None:
            raise self.fail

    def status(self) -> ServiceStatus:
        self._called("status")
        return ServiceStatus("appliance", "1.2", "vra")

    def add_server(self, server: NewServer) -> ServerInfo:
        self._called("add_server", server)
        return ServerInfo(server.name, server.address, server.port, "alpha.lan", THUMBPRINT)

    def servers(self) -> Sequence[ServerInfo]:
        self._called("servers")
        return (ServerInfo("alpha", "10.0.0.2", 6325, "alpha.lan", THUMBPRINT),)

    def inventory(self, name: str) -> ServerInventory:
        self._called("inventory", name)
        if name != "alpha":
            raise NotFound(f"no server {name}", hint="dtesx server list")
        return ServerInventory(self.servers()[0], INVENTORY)

    def remove_server(self, name: str) -> None:
        self._called("remove_server", name)

    def add_vmware(self, vmware: NewVmware) -> VmwareInfo:
        self._called("add_vmware", vmware)
        if vmware.thumbprint != THUMBPRINT:
            raise UntrustedCertificate("not trusted", thumbprint=THUMBPRINT, hint="pin it")
        return self.vmware_details(vmware.name)

    def vmware(self) -> Sequence[VmwareInfo]:
        self._called("vmware")
        return (VmwareInfo("vc1", "10.0.0.3", 443, "root", THUMBPRINT, "vra"),)

    def vmware_details(self, name: str) -> VmwareInfo:
        self._called("vmware_details", name)
        return VmwareInfo(
            name,
            "10.0.0.3",
            443,
            "root",
            THUMBPRINT,
            "vra",
            About("vCenter", "8.0", "1", "VirtualCenter", "uuid"),
            (Datastore("ds-1", "ds1", "VMFS", 10 << 30, 5 << 30),),
            (Network("n-1", "VM Network", False),),
        )

    def put_role(self, vmware: str, role: NewRole) -> None:
        self._called("put_role", (vmware, role))

    def remove_vmware(self, name: str) -> None:
        self._called("remove_vmware", name)

    def create_job(self, spec: JobSpec, *, rebind: bool = False) -> JobInfo:
        self._called("create_job", (spec, rebind))
        running = operation(OperationKind.PROTECT, StepState.RUNNING)
        return replace(self.job_info, spec=spec, operation=running)

    def plan(self, spec: JobSpec) -> JobPlan:
        self._called("plan", spec)
        return plan_job(spec, INVENTORY, OFFER)

    def job_plan(self, name: str) -> JobPlan:
        self._called("job_plan", name)
        return plan_job(self.job_info.spec, INVENTORY, OFFER)

    def validate(self, spec: JobSpec, repairs: Repairs) -> Validation:
        self._called("validate", (spec, repairs))
        return self.validation

    def validate_job(self, name: str, repairs: Repairs) -> Validation:
        self._called("validate_job", (name, repairs))
        return self.validation

    def last_validation(self, name: str) -> Validation:
        self._called("last_validation", name)
        return self.validation

    def jobs(self) -> Sequence[JobInfo]:
        self._called("jobs")
        return (self.job_info,)

    def job(self, name: str) -> JobInfo:
        self._called("job", name)
        return self.job_info

    def delete_job(self, name: str, *, keep_replica: bool) -> Operation:
        self._called("delete_job", (name, keep_replica))
        return operation(OperationKind.DELETE)

    def mirror(self, name: str, *, rebind: bool = False) -> Operation:
        self._called("mirror", (name, rebind))
        return operation(OperationKind.MIRROR, StepState.RUNNING)

    def pause_mirror(self, name: str) -> None:
        self._called("pause_mirror", name)

    def resume_mirror(self, name: str) -> None:
        self._called("resume_mirror", name)

    def stop_mirror(self, name: str) -> None:
        self._called("stop_mirror", name)

    def limit(self, name: str, bandwidth: int | None) -> None:
        self._called("limit", (name, bandwidth))

    def pause_target(self, name: str) -> Paused:
        self._called("pause_target", name)
        return Paused(all=True)

    def resume_target(self, name: str) -> Paused:
        self._called("resume_target", name)
        return Paused()

    def insert_task(self, name: str, request: TaskRequest) -> TaskInsertion:
        self._called("insert_task", (name, request))
        return TaskInsertion("t1")

    def task(self, name: str, number: str) -> TaskInsertion:
        self._called("task", (name, number))
        return self.insertions.pop(0)

    def history(self, name: str, since: float) -> Sequence[ReplicationSample]:
        self._called("history", name)
        return self.samples

    def take_snapshot(self, name: str, request: NewSnapshot) -> Operation:
        self._called("take_snapshot", request)
        return operation(OperationKind.SNAPSHOT, result={"snapshot": "snap-1"})

    def snapshots(self, name: str) -> Sequence[SnapshotInfo]:
        self._called("snapshots", name)
        return (SnapshotInfo("later", 20.0, "fuzzy"), SnapshotInfo("first", 10.0, "fuzzy", "note"))

    def failover(self, name: str, request: FailoverRequest) -> Operation:
        self._called("failover", request)
        return operation(OperationKind.FAILOVER, StepState.RUNNING)

    def operation(self, operation: str) -> Operation:
        self._called("operation", operation)
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def failed(kind: OperationKind, code: str, message: str, hint: str = "") -> Operation:
    """An operation that ended with a problem."""
    return operation(kind, StepState.FAILED, problem=Problem(code, message, hint))


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The appliance that commands talk to."""
    fake = FakeApi()
    answer: Callable[[], Api] = lambda: fake  # noqa: E731
    monkeypatch.setattr(session, "appliance", answer)
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.0)
    return fake


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run one command line, without a terminal, with an empty configuration."""
    monkeypatch.setenv("DTESX_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("DTESX_DEBUG", raising=False)
    monkeypatch.delenv("DTESX_VMWARE_PASSWORD", raising=False)

    def call(*arguments: str) -> Outcome:
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    """A good job file."""
    path = tmp_path / "job.yaml"
    path.write_text("name: web\nsource: alpha\nvmware: vc1\nreplica:\n  datastore: ds1\n")
    return path
