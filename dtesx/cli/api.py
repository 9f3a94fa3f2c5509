"""What the command line asks of the appliance; the management client is one, tests bring another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dtesx.model.api import (
    FailoverRequest,
    JobInfo,
    NewServer,
    NewSnapshot,
    NewVmware,
    ServerInfo,
    ServerInventory,
    ServiceStatus,
    SnapshotInfo,
    VmwareInfo,
)
from dtesx.model.job import JobSpec, Operation


class Api(Protocol):
    """The management API, one method per call. Every method raises a DtesxError when it fails."""

    def status(self) -> ServiceStatus: ...

    def add_server(self, server: NewServer) -> ServerInfo: ...

    def servers(self) -> Sequence[ServerInfo]: ...

    def inventory(self, name: str) -> ServerInventory: ...

    def remove_server(self, name: str) -> None: ...

    def add_vmware(self, vmware: NewVmware) -> VmwareInfo: ...

    def vmware(self) -> Sequence[VmwareInfo]: ...

    def vmware_details(self, name: str) -> VmwareInfo: ...

    def remove_vmware(self, name: str) -> None: ...

    def create_job(self, spec: JobSpec) -> JobInfo: ...

    def jobs(self) -> Sequence[JobInfo]: ...

    def job(self, name: str) -> JobInfo: ...

    def delete_job(self, name: str, *, keep_replica: bool) -> Operation: ...

    def mirror(self, name: str, *, rebind: bool = False) -> Operation: ...

    def take_snapshot(self, name: str, request: NewSnapshot) -> Operation: ...

    def snapshots(self, name: str) -> Sequence[SnapshotInfo]: ...

    def failover(self, name: str, request: FailoverRequest) -> Operation: ...

    def operation(self, operation: str) -> Operation: ...
