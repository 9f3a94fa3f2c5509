"""What recovery needs of its surroundings; the management service supplies it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dtesx.model.api import MirrorStatus, ServiceStatus, SourceReplication
from dtesx.model.epoch import Epoch
from dtesx.model.inventory import Inventory
from dtesx.model.job import Operation
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.target import Paused, WorkerSpec, WorkerStatus
from dtesx.model.tasks import Task
from dtesx.vsphere.client import VSphere


class Source(Protocol):
    """The source service of one server. Every call raises ConnectionFailed when it is away."""

    @property
    def certificate(self) -> str:
        """The source's pinned certificate (PEM)."""

    def answers(self) -> bool:
        """Whether the source service can be reached now."""

    def service(self) -> ServiceStatus:
        """What the source service says of itself now."""

    def reaches(self, address: str, port: int) -> str:
        """Why the source cannot connect to that address; "" when it can."""

    def inventory(self) -> Inventory:
        """Take the inventory now."""

    def start_mirror(self, request: MirrorRequest) -> MirrorStatus:
        """Start a mirror, or return the one that is already running for the job."""

    def mirror_status(self, job: str) -> MirrorStatus:
        """Where the job's latest mirror stands; NotFound when there was none."""

    def stop_mirror(self, job: str) -> None:
        """Stop a running mirror; does nothing when there is none."""

    def pause_mirror(self, job: str) -> None:
        """Have a running mirror wait; NotFound when none is under way."""

    def resume_mirror(self, job: str) -> None:
        """Have a paused mirror go on; NotFound when none is under way."""

    def limit_mirror(self, job: str, bandwidth: int | None) -> None:
        """Set a running mirror's limit (MirrorRequest); NotFound when none is under way."""

    def start_replication(self, request: ReplicationRequest) -> SourceReplication:
        """Start a replication, or tell of the one that runs for the job already."""

    def replication(self, job: str) -> SourceReplication:
        """Where the job's replication stands; NotFound when there was none."""

    def stop_replication(self, job: str) -> None:
        """Stop the job's replication; does nothing when there is none."""

    def forget_replication(self, job: str) -> None:
        """Stop the job's replication and remove what it left; does nothing when there is none."""

    def shut_down(self) -> None:
        """Ask the server to power off; returns when it accepted.

        Needed before the replica of a live source may start: both carry one identity.
        """

    def local_address(self) -> str:
        """The appliance's own address on the way to this source."""


class Workers(Protocol):
    """The target workers on this appliance, one process per job."""

    def start(self, spec: WorkerSpec) -> WorkerStatus:
        """Start the job's worker and wait until it listens; a listening one is left alone."""

    def stop(self, job: str) -> None:
        """End the job's worker and wait until nothing of it is mounted; fine if none runs."""

    def status(self, job: str) -> WorkerStatus | None:
        """The worker's last report; None when there is no live worker."""

    def pause(self, job: str) -> Paused:
        """Have the job's workers, now and later, apply nothing more; what is in progress is completed."""

    def resume(self, job: str) -> Paused:
        """Have the job's worker go on."""

    def paused(self, job: str) -> bool:
        """Whether the job's worker is paused."""

    def epoch(self, job: str) -> Epoch | None:
        """The last epoch that is on the replica's disks; None when there was none."""

    def unsettled(self, job: str) -> bool:
        """Whether epochs that arrived whole may be on the replica's disks in part."""

    def free_port(self) -> int:
        """A data port that no job uses, 1500 first."""

    def listening(self, job: str, port: int) -> AbstractContextManager[int]:
        """A data port that can be connected to for as long as needed: the job's, or with 0 a free one."""


class Journal(Protocol):
    """Where progress is made durable. What these return from is on disk."""

    def save_job(self, record: JobRecord) -> None:
        """Store the job."""

    def save_operation(self, operation: Operation) -> None:
        """Store the operation with its steps."""

    def bandwidth(self, job: str) -> int | None:
        """The limit that users set in place of the job's own (bytes/s, 0 for none); None: they set none."""

    def replication(self, job: str) -> ReplicationSwitch:
        """What users want of the job's replication."""

    def set_replication(self, job: str, switch: ReplicationSwitch) -> None:
        """Keep what users want of it."""


@dataclass(frozen=True)
class Surroundings:
    """One job's surroundings.

    ``directory`` is the job's own, below the service's state; ``identity_directory`` holds the
    appliance's certificate and key, which its workers use too; ``certificate`` is that certificate.
    ``appliance_vm`` is the instance UUID of its VM. ``tasks`` are the commands that a job may have run
    between two epochs.
    """

    source: Source
    vsphere: Callable[[], AbstractContextManager[VSphere]]
    workers: Workers
    journal: Journal
    certificate: str
    appliance_vm: str
    directory: Path
    identity_directory: Path
    listen: str = "0.0.0.0"
    tasks: Mapping[str, Task] = field(default_factory=dict)
    cancel: threading.Event = field(default_factory=threading.Event)


Site = Callable[[JobRecord, threading.Event], AbstractContextManager[Surroundings]]
"""Makes one job's surroundings for as long as they are needed."""
