"""The bodies of the two HTTPS APIs (management service and source service)."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.model.epoch import Epoch
from dtesx.model.inventory import Inventory
from dtesx.model.job import JobSpec, JobState, Operation, Problem
from dtesx.model.layout import Layout
from dtesx.model.replication import ReplicationReport, ReplicationSwitch
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.model.tasks import TaskReport
from dtesx.model.transmission import check_bandwidth
from dtesx.model.validation import Health, Repairs
from dtesx.model.vmware import About, Datastore, Network, VirtualMachine

API_PORT = 6325


@dataclass(frozen=True)
class PairRequest:
    """First contact: the caller's certificate and its proof of knowing the one-time token."""

    certificate: str
    nonce: str
    proof: str


@dataclass(frozen=True)
class PairReply:
    """The answer: the server's certificate, its own proof, and the bearer secret for later calls."""

    certificate: str
    proof: str
    bearer: str
    hostname: str


@dataclass(frozen=True)
class MirrorStatus:
    """A mirror as its source sees it; ``bandwidth`` as in its request, or as set since."""

    job: str
    phase: MirrorPhase
    stats: MirrorStats = MirrorStats()
    problem: Problem | None = None
    started: float = 0.0
    bandwidth: int | None = None


@dataclass(frozen=True)
class SourceReplication:
    """A job's replication as its source sees it; ``problem`` is what ended it."""

    job: str
    report: ReplicationReport
    problem: Problem | None = None


@dataclass(frozen=True)
class TaskInsertion:
    """A task that is inserted into a job's replication; both are null until it has ended or failed."""

    id: str
    report: TaskReport | None = None
    problem: Problem | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.report is not None or self.problem is not None


@dataclass(frozen=True)
class JobReplication:
    """A job's replication as its appliance sees it.

    ``switch`` is what users want of it. ``epoch`` is the last one that the replica has, which is known
    without the source. ``report`` is what the source told last, null when it told nothing since the
    appliance's service started; ``problem`` is what keeps it from replicating.
    """

    switch: ReplicationSwitch = ReplicationSwitch.ON
    epoch: Epoch | None = None
    report: ReplicationReport | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class NewServer:
    """Body of ``dtesx server add``; ``token`` is the source's one-time token."""

    name: str
    address: str
    token: str
    port: int = API_PORT


@dataclass(frozen=True)
class ServerInfo:
    """A source known to the appliance."""

    name: str
    address: str
    port: int
    hostname: str
    fingerprint: str


@dataclass(frozen=True)
class ServerInventory:
    """A source's inventory, taken now."""

    server: ServerInfo
    inventory: Inventory


@dataclass(frozen=True)
class NewVmware:
    """Body of ``dtesx vmware add``; an empty thumbprint is refused with the one presented.

    ``appliance_vm`` is the VM that runs the appliance, by name; empty means: found by its UUID.
    """

    name: str
    address: str
    user: str
    password: str
    port: int = 443
    thumbprint: str = ""
    appliance_vm: str = ""


@dataclass(frozen=True)
class VmwareInfo:
    """A VMware server known to the appliance, with what it offers when asked for details."""

    name: str
    address: str
    port: int
    user: str
    thumbprint: str
    appliance_vm: str
    about: About | None = None
    datastores: tuple[Datastore, ...] = ()
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True)
class SnapshotInfo:
    """A recovery point held as a VMware snapshot; ``created`` is Unix seconds."""

    name: str
    created: float
    kind: str
    description: str = ""


@dataclass(frozen=True)
class JobInfo:
    """A job as the API shows it.

    ``replication`` is null when it only mirrors, ``health`` before the first look at the replica's tree;
    ``bandwidth``: see NewBandwidth. ``vsphere`` is what was wrong with the replica there, or with
    reaching it, within the last minute.
    """

    id: str
    spec: JobSpec
    state: JobState
    created: float
    inventory: Inventory | None = None
    layout: Layout | None = None
    replica: VirtualMachine | None = None
    vsphere: Problem | None = None
    mirror: MirrorStats | None = None
    mirrored_at: float = 0.0
    health: Health | None = None
    replication: JobReplication | None = None
    target_paused: bool = False
    bandwidth: int | None = None
    operation: Operation | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class FailoverRequest:
    """Body of a failover. ``final_mirror``: mirror once more if the source still answers."""

    final_mirror: bool = True


@dataclass(frozen=True)
class NewMirror:
    """Body of ``dtesx job mirror``. ``rebind``: the source's file systems may be others than before."""

    rebind: bool = False


@dataclass(frozen=True)
class NewBandwidth:
    """A limit (bytes/s, 0 for none) in place of those of the job's link; null: these hold again."""

    bandwidth: int | None = None

    def __post_init__(self) -> None:
        check_bandwidth(self.bandwidth or 0)


@dataclass(frozen=True)
class NewSnapshot:
    """Body of ``dtesx snapshot take``."""

    description: str = ""


@dataclass(frozen=True)
class ServiceStatus:
    """What a service says of itself; ``time`` is its clock (Unix seconds)."""

    service: str
    version: str
    hostname: str
    paired: bool = False
    jobs: dict[str, str] = field(default_factory=dict)
    time: float = 0.0


@dataclass(frozen=True)
class Reach:
    """A question to a source: whether it can connect to that address and port."""

    address: str
    port: int


@dataclass(frozen=True)
class Reached:
    """The answer; ``reason`` is why not, "" when it can."""

    reason: str = ""


@dataclass(frozen=True)
class ValidationRequest:
    """Body of a validation: of the job that ``spec`` would make, after what ``repairs`` asks for."""

    spec: JobSpec
    repairs: Repairs = Repairs()


@dataclass(frozen=True)
class NewRole:
    """Body of ``dtesx vmware role create``. An empty ``user`` is the account that the appliance has."""

    role: str
    user: str = ""
    password: str = ""
