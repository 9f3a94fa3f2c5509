"""A small world for recovery: every outside call may be the one at which the process dies.

The real parts are tested elsewhere; this stands in for faults that cannot be produced otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx import __version__
from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, NotFound
from dtesx.boot import check, fix
from dtesx.model.api import MirrorStatus, ServiceStatus, SourceReplication
from dtesx.model.capture import CaptureStatus
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.inventory import Inventory
from dtesx.model.job import JobSpec, JobState, Operation, Problem
from dtesx.model.layout import Layout
from dtesx.model.network import Nic
from dtesx.model.record import JobRecord
from dtesx.model.replica import ReplicaSpec
from dtesx.model.replication import (
    ReplicationPhase,
    ReplicationReport,
    ReplicationStatus,
    ReplicationSwitch,
    TargetStatus,
)
from dtesx.model.request import MirrorPhase, MirrorRequest, ReplicationRequest
from dtesx.model.stats import MirrorStats
from dtesx.model.target import Paused, WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.model.validation import Check, Finding, Verdict
from dtesx.model.vmware import (
    About,
    Datastore,
    MissingPrivileges,
    Network,
    Offer,
    ReplicaPlan,
    Snapshot,
    StoredDisk,
    VirtualDisk,
    VirtualMachine,
    VirtualNic,
    Whereabouts,
    owner_note,
)
from dtesx.model.wiring import Card, Wiring
from dtesx.recovery import failover, health, protect, replication, transfer
from dtesx.recovery.ports import Surroundings
from dtesx.replication.continuous.reporting import report
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.tasks import Progress
from tests.unit.planning.sources import fs, inventory

GIB = 1 << 30
APPLIANCE, REPLICA = "vm-1", "vm-2"


class Killed(BaseException):
    """The process died here (kill -9): nothing of ours catches it."""


INVENTORY = replace(
    inventory(fs("/", size=4 * GIB), disk_bytes=4 * GIB),
    nics=(Nic("eth0", "52:54:00:00:00:01", ("10.0.0.2/24",)),),
)

OFFER = Offer(
    datastores=(Datastore("datastore-1", "ds", "VMFS", 100 * GIB, 50 * GIB),),
    networks=(Network("network-1", "VM Network", False),),
    appliance_disks=1,
    hardware=19,
)


@dataclass
class World:
    """Everything outside the process; survives its death."""

    directory: Path
    source_up: bool = True
    obeys_shutdown: bool = True
    replica: VirtualMachine | None = None
    attached: set[str] = field(default_factory=set)
    worker: bool = False
    mounted: bool = False
    prepared: set[str] = field(default_factory=set)
    snapshots: list[Snapshot] = field(default_factory=list)
    mirrors: int = 0
    halted: bool = False
    paused_target: bool = False
    limit: int | None = None
    limits: list[int | None] = field(default_factory=list)
    under_way: list[int | None] = field(default_factory=list)
    replicates: bool = False
    forgotten: list[str] = field(default_factory=list)
    asked: float = 0.0
    target_status: TargetStatus = TargetStatus.OK
    last_epoch: Epoch | None = None
    in_part: bool = False
    switch: ReplicationSwitch = ReplicationSwitch.ON
    health: tuple[Finding, ...] = (Finding(Check.BOOT_KERNEL, Verdict.PASSED, "it would start"),)
    bootable: bool = False
    made_of: Inventory = INVENTORY
    offered: Offer = OFFER
    source_version: str = __version__
    clock_ahead: float = 0.0
    unreachable: str = ""
    read_only: bool = False
    lacks: tuple[MissingPrivileges, ...] = ()
    about_server: About = About("VMware vCenter Server", "8.0.3", "1", "VirtualCenter", "u")
    login_error: DtesxError | None = None
    calls: int = 0
    die_at: int = 0
    fail_at: int = 0
    jobs: list[JobRecord] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def tick(self) -> None:
        """One call to the outside."""
        self.calls += 1
        if self.calls == self.die_at:
            raise Killed
        if self.calls == self.fail_at:
            raise Conflict("made to fail", hint="try again")

    # -- source ---------------------------------------------------------------------------
    @property
    def certificate(self) -> str:
        return "source certificate"

    def answers(self) -> bool:
        self.tick()
        return self.source_up

    def inventory(self) -> Inventory:
        self._source()
        return self.made_of

    def service(self) -> ServiceStatus:
        self._source()
        return ServiceStatus("source", self.source_version, "alpha", time=time.time() + self.clock_ahead)

    def reaches(self, address: str, port: int) -> str:
        self._source()
        return self.unreachable

    def start_mirror(self, request: MirrorRequest) -> MirrorStatus:
        self._source()
        assert self.worker, "a mirror needs a listening worker"
        assert request.mount_points == ("/",)
        self.halted = self.halted and not request.rebind
        self.limits = [request.bandwidth]
        return MirrorStatus(request.job, MirrorPhase.RUNNING, bandwidth=request.bandwidth)

    def mirror_status(self, job: str) -> MirrorStatus:
        self._source()
        if self.halted:
            problem = Problem("root-empty", "/ is empty", "--rebind")
            return MirrorStatus(job, MirrorPhase.FAILED, problem=problem)
        if self.under_way:
            self.limit = self.under_way.pop()
            return MirrorStatus(job, MirrorPhase.RUNNING, bandwidth=self.limits[-1])
        self.mirrors += 1
        return MirrorStatus(job, MirrorPhase.DONE, MirrorStats(files_total=5, files_sent=5))

    def stop_mirror(self, job: str) -> None:
        self._source()

    def pause_mirror(self, job: str) -> None:
        self._source()

    def resume_mirror(self, job: str) -> None:
        self._source()

    def limit_mirror(self, job: str, bandwidth: int | None) -> None:
        self._source()
        self.limits.append(bandwidth)

    def start_replication(self, request: ReplicationRequest) -> SourceReplication:
        self._source()
        assert self.worker, "a replication needs a listening worker"
        self.replicates = True
        return SourceReplication(request.job, self._report(0.0))

    def replication(self, job: str) -> SourceReplication:
        self._source()
        if not self.replicates:
            raise NotFound("it does not replicate")
        self.asked += 1.0
        problem = Problem("root-empty", "/ is empty", "--rebind") if self.halted else None
        return SourceReplication(job, self._report(self.asked), problem)

    def stop_replication(self, job: str) -> None:
        self._source()
        self.replicates = False

    def forget_replication(self, job: str) -> None:
        self.stop_replication(job)
        self.forgotten.append(job)

    def _report(self, at: float) -> ReplicationReport:
        """Time passes with every question; all is on the target after two of them, if there is a worker."""
        current = at - 2.0 if self.worker else 0.0
        epoch = Epoch(int(at), EpochKind.CRASH, current)
        return report(
            ReplicationStatus(ReplicationPhase.REPLICATING, epoch, current, target=self.target_status),
            CaptureStatus(),
            source="/",
            target="there",
            at=at,
            started=0.0,
            events_per_second=0.0,
        )

    def shut_down(self) -> None:
        self._source()
        self.source_up = not self.obeys_shutdown

    def local_address(self) -> str:
        return "10.0.0.1"

    def _source(self) -> None:
        self.tick()
        if not self.source_up:
            raise ConnectionFailed("alpha does not answer", hint="check it")

    # -- workers --------------------------------------------------------------------------
    def start(self, spec: WorkerSpec) -> WorkerStatus:
        self.tick()
        assert self.replica is not None
        assert {d.uuid for d in self.replica.disks} == set(spec.disk_uuids)
        assert {d.path for d in self.replica.disks} == self.attached, "worker without its disks"
        self.worker = self.mounted = True
        self.in_part = False
        return WorkerStatus(WorkerPhase.LISTENING, 1)

    def stop(self, job: str) -> None:
        self.tick()
        self.worker = self.mounted = False

    def status(self, job: str) -> WorkerStatus | None:
        return WorkerStatus(WorkerPhase.LISTENING, 1) if self.worker else None

    def pause(self, job: str) -> Paused:
        self.paused_target = True
        return Paused(all=True)

    def resume(self, job: str) -> Paused:
        self.paused_target = False
        return Paused()

    def paused(self, job: str) -> bool:
        return self.paused_target

    def epoch(self, job: str) -> Epoch | None:
        return self.last_epoch

    def unsettled(self, job: str) -> bool:
        return self.in_part

    def free_port(self) -> int:
        return 1500

    @contextmanager
    def listening(self, job: str, port: int) -> Iterator[int]:
        yield port or 1500

    # -- journal --------------------------------------------------------------------------
    def save_job(self, record: JobRecord) -> None:
        self.tick()
        self.jobs.append(record)

    def save_operation(self, operation: Operation) -> None:
        self.tick()
        self.operations.append(operation)

    def bandwidth(self, job: str) -> int | None:
        return self.limit

    def replication_switch(self, job: str) -> ReplicationSwitch:
        return self.switch

    def set_replication(self, job: str, switch: ReplicationSwitch) -> None:
        self.switch = switch

    # -- vSphere --------------------------------------------------------------------------
    @contextmanager
    def vsphere(self) -> Iterator[VSphere]:
        self.tick()
        if self.login_error is not None:
            raise self.login_error
        yield cast(VSphere, self)

    def vm_by_instance(self, uuid: str) -> VirtualMachine:
        self.tick()
        return VirtualMachine(APPLIANCE, "appliance", "uuid", True, (), instance_uuid=uuid)

    def vm(self, ref: str) -> VirtualMachine:
        self.tick()
        if self.replica is None:
            raise NotFound("gone")
        return self.replica

    def about(self) -> About:
        return self.about_server

    def changes_nothing(self) -> bool:
        return self.read_only

    def missing_privileges(
        self, plan: ReplicaPlan, *, beside: str, replica_ref: str = ""
    ) -> tuple[MissingPrivileges, ...]:
        return self.lacks

    def check_name(self, plan: ReplicaPlan, *, beside: str) -> None:
        if self.replica is not None and not self.replica.belongs_to(plan.owner):
            raise Conflict(f"a virtual machine called {plan.name} exists already", hint="choose another name")

    def offer(self, appliance_ref: str, where: Whereabouts, existing: Iterable[str] = ()) -> Offer:
        self.tick()
        return self.offered

    def stored_disks(self, appliance_ref: str, paths: Iterable[str]) -> tuple[StoredDisk, ...]:
        return self.offered.stored

    def replica_of(self, owner: str, name: str) -> VirtualMachine | None:
        self.tick()
        return self.replica

    def create_replica(self, plan: ReplicaPlan, *, beside: str, on_progress: Progress) -> VirtualMachine:
        self.tick()
        if self.replica is None:
            disks = tuple(
                VirtualDisk(
                    *(2000 + i, f"[{d.datastore}] r/r{i}.vmdk", f"6000C29-{i}", d.size_bytes, 1000 + d.bus),
                    *(d.unit, d.bus),
                )
                for i, d in enumerate(plan.disks)
            )
            nics = (VirtualNic(4000, "00:50:56:00:00:01", plan.nics[0].network),)
            note = owner_note(plan.owner)
            self.replica = VirtualMachine(REPLICA, plan.name, "u", False, disks, nics, annotation=note)
        self.tick()
        return self.replica

    def attach_disk(self, ref: str, disk: VirtualDisk) -> VirtualDisk:
        self.tick()
        assert self.replica is not None
        assert not self.replica.powered_on, "the disk is in use by the replica"
        self.attached.add(disk.path)
        return disk

    def detach_disk(self, ref: str, disk: VirtualDisk) -> None:
        self.tick()
        assert not self.mounted, "detached under a mount"
        self.attached.discard(disk.path)

    def create_snapshot(self, ref: str, name: str, description: str, on_progress: Progress) -> Snapshot:
        self.tick()
        assert not self.attached, "snapshot of a disk that the appliance holds"
        assert self.replica is not None
        made = Snapshot(f"snapshot-{len(self.snapshots)}", name, description, 0.0, True)
        self.snapshots.append(made)
        moved = tuple(replace(d, path=d.path.replace(".vmdk", "-1.vmdk")) for d in self.replica.disks)
        self.replica = replace(self.replica, disks=moved)
        self.tick()
        return made

    def list_snapshots(self) -> tuple[Snapshot, ...]:
        return tuple(self.snapshots)

    def power_on(self, ref: str) -> None:
        self.tick()
        assert self.replica is not None
        assert self.bootable, "started before it was made bootable"
        assert not self.attached, "started while the appliance holds its disks"
        assert not self.source_up, "two machines with one identity"
        self.replica = replace(self.replica, powered_on=True)
        self.tick()

    def wait_for_address(self, ref: str, *, timeout: float, on_wait: Any) -> str:
        self.tick()
        on_wait(1.0)
        return "10.0.0.2"

    def destroy_vm(self, ref: str, *, owner: str) -> None:
        self.tick()
        assert self.replica is not None
        assert self.replica.belongs_to(owner)
        self.replica = None

    # -- volumes and boot -----------------------------------------------------------------
    def prepare_disks(self, layout: Layout, devices: list[Path]) -> None:
        for device in devices:
            self.tick()
            self.prepared.add(str(device))

    def release_disks(self, where: Path, uuids: list[str]) -> None:
        self.tick()
        assert not self.worker, "taken from under a worker"
        self.mounted = False

    @contextmanager
    def mounted_layout(
        self, layout: Layout, devices: list[Path], where: Path, *, nested: bool
    ) -> Iterator[dict[str, Path]]:
        self.tick()
        assert not self.mounted, "mounted twice"
        assert self.attached, "mounted without disks"
        self.mounted = True
        try:
            yield {"/": where}
        finally:
            self.mounted = False

    def check(self, places: Mapping[str, Path], layout: Layout, wiring: Wiring) -> tuple[Finding, ...]:
        self.tick()
        assert self.worker, "looked at without being mounted"
        return self.health

    def make_bootable(self, root: Path, layout: Layout, system_disk: Path, wiring: Wiring) -> tuple[str, ...]:
        self.tick()
        assert wiring.cards == (Card("eth0", "00:50:56:00:00:01", "52:54:00:00:00:01"),)
        self.bootable = True
        return ("changed",)

    # -------------------------------------------------------------------------------------
    def surroundings(self) -> Surroundings:
        return Surroundings(
            source=self,
            vsphere=_Snapshots(self).vsphere,
            workers=self,
            journal=_Journal(self),
            certificate="appliance certificate",
            appliance_vm="appliance",
            directory=self.directory / "job",
            identity_directory=self.directory,
        )

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this world in place of disks and boot code."""
        monkeypatch.setattr(transfer, "_POLL", 0.0)
        monkeypatch.setattr(replication, "_POLL", 0.0)
        monkeypatch.setattr(protect, "prepare_disks", self.prepare_disks)
        for taking in (transfer, protect):
            monkeypatch.setattr(taking, "release_disks", self.release_disks)
        monkeypatch.setattr(protect, "find_disk", lambda uuid: Path("/dev") / uuid)
        monkeypatch.setattr(failover, "find_disk", lambda uuid: Path("/dev") / uuid)
        monkeypatch.setattr(failover, "mounted_layout", self.mounted_layout)
        monkeypatch.setattr(fix, "make_bootable", self.make_bootable)
        monkeypatch.setattr(health, "mounted_flat", lambda _layout, where: {"/": where})
        monkeypatch.setattr(check, "check", self.check)


class _Journal:
    """The world as a journal, where ``replication`` is what users want of it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def replication(self, job: str) -> ReplicationSwitch:
        return self._world.replication_switch(job)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


class _Snapshots:
    """The world as vSphere shows it, where ``snapshots`` is a call and not the list."""

    def __init__(self, world: World) -> None:
        self._world = world

    @contextmanager
    def vsphere(self) -> Iterator[VSphere]:
        with self._world.vsphere():
            yield cast(VSphere, self)

    def snapshots(self, ref: str) -> tuple[Snapshot, ...]:
        self._world.tick()
        return self._world.list_snapshots()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def record(state: JobState = JobState.CREATED) -> JobRecord:
    """A new job."""
    spec = JobSpec("alpha", "alpha", "lab", ReplicaSpec("ds"))
    return JobRecord("j1", spec, state, 0.0)
