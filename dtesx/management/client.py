"""The management API as Python calls; what the command line and the lab use."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from dtesx.base.errors import UsageError
from dtesx.management.http_client import HttpClient
from dtesx.model.api import (
    API_PORT,
    FailoverRequest,
    JobInfo,
    NewBandwidth,
    NewMirror,
    NewRole,
    NewServer,
    NewSnapshot,
    NewVmware,
    ServerInfo,
    ServerInventory,
    ServiceStatus,
    SnapshotInfo,
    TaskInsertion,
    ValidationRequest,
    VmwareInfo,
)
from dtesx.model.job import JobSpec, Operation
from dtesx.model.plan import JobPlan
from dtesx.model.replication import ReplicationSample
from dtesx.model.target import Paused
from dtesx.model.tasks import TaskRequest
from dtesx.model.validation import Repairs, Validation

_POLL_SECONDS = 10.0

_REPAIR_SECONDS = 1800.0
"""A validation may install packages before it answers."""


class Appliance:
    """A client of one appliance: ``url`` such as ``https://10.0.0.5:6325``.

    ``certificate`` (PEM) is the only one accepted, ``token`` the API's admin token. Nothing is sent
    before the first call. Every method raises the DtesxError that the appliance raised,
    ConnectionFailed when it is away.
    """

    def __init__(self, url: str, certificate: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise UsageError(f"{url!r} is not the address of an appliance", hint="use https://ADDRESS:6325")
        self._http = HttpClient(
            parts.hostname,
            parts.port or API_PORT,
            certificate,
            what="the appliance",
            away_hint="check that it runs, its address, and that no firewall blocks the port",
            changed_hint="if the appliance was set up anew, log in again; if not, someone is in between",
            refused_hint="log in again with the token in admin-token in the appliance's state directory",
            bearer=token,
        )

    def close(self) -> None:
        self._http.close()

    def status(self) -> ServiceStatus:
        return self._http.call("GET", "/v1/status", ServiceStatus)

    def add_server(self, server: NewServer) -> ServerInfo:
        return self._http.call("POST", "/v1/servers", ServerInfo, server)

    def servers(self) -> tuple[ServerInfo, ...]:
        return self._http.call("GET", "/v1/servers", tuple[ServerInfo, ...])

    def inventory(self, name: str) -> ServerInventory:
        return self._http.call("GET", f"/v1/servers/{_part(name)}/inventory", ServerInventory)

    def remove_server(self, name: str) -> None:
        self._http.send("DELETE", f"/v1/servers/{_part(name)}")

    def add_vmware(self, vmware: NewVmware) -> VmwareInfo:
        return self._http.call("POST", "/v1/vmware", VmwareInfo, vmware)

    def vmware(self) -> tuple[VmwareInfo, ...]:
        return self._http.call("GET", "/v1/vmware", tuple[VmwareInfo, ...])

    def vmware_details(self, name: str) -> VmwareInfo:
        return self._http.call("GET", f"/v1/vmware/{_part(name)}", VmwareInfo)

    def put_role(self, vmware: str, role: NewRole) -> None:
        self._http.send("POST", f"/v1/vmware/{_part(vmware)}/roles", role)

    def remove_vmware(self, name: str) -> None:
        self._http.send("DELETE", f"/v1/vmware/{_part(name)}")

    def create_job(self, spec: JobSpec, *, rebind: bool = False) -> JobInfo:
        return self._http.call("POST", f"/v1/jobs?rebind={'yes' if rebind else 'no'}", JobInfo, spec)

    def plan(self, spec: JobSpec) -> JobPlan:
        return self._http.call("POST", "/v1/plans", JobPlan, spec)

    def job_plan(self, name: str) -> JobPlan:
        return self._http.call("GET", f"/v1/jobs/{_part(name)}/plan", JobPlan)

    def validate(self, spec: JobSpec, repairs: Repairs) -> Validation:
        return self._http.call(
            "POST", "/v1/validations", Validation, ValidationRequest(spec, repairs), timeout=_REPAIR_SECONDS
        )

    def validate_job(self, name: str, repairs: Repairs) -> Validation:
        return self._http.call(
            "POST", f"/v1/jobs/{_part(name)}/validation", Validation, repairs, timeout=_REPAIR_SECONDS
        )

    def last_validation(self, name: str) -> Validation:
        return self._http.call("GET", f"/v1/jobs/{_part(name)}/validation", Validation)

    def jobs(self) -> tuple[JobInfo, ...]:
        return self._http.call("GET", "/v1/jobs", tuple[JobInfo, ...])

    def job(self, name: str) -> JobInfo:
        return self._http.call("GET", f"/v1/jobs/{_part(name)}", JobInfo)

    def delete_job(self, name: str, *, keep_replica: bool) -> Operation:
        replica = "keep" if keep_replica else "delete"
        return self._http.call("DELETE", f"/v1/jobs/{_part(name)}?replica={replica}", Operation)

    def mirror(self, name: str, *, rebind: bool = False) -> Operation:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/mirror", Operation, NewMirror(rebind))

    def pause_mirror(self, name: str) -> None:
        self._http.send("POST", f"/v1/jobs/{_part(name)}/mirror/pause")

    def resume_mirror(self, name: str) -> None:
        self._http.send("POST", f"/v1/jobs/{_part(name)}/mirror/resume")

    def stop_mirror(self, name: str) -> None:
        self._http.send("POST", f"/v1/jobs/{_part(name)}/mirror/stop")

    def limit(self, name: str, bandwidth: int | None) -> None:
        self._http.send("POST", f"/v1/jobs/{_part(name)}/bandwidth", NewBandwidth(bandwidth))

    def pause_target(self, name: str) -> Paused:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/target/pause", Paused)

    def resume_target(self, name: str) -> Paused:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/target/resume", Paused)

    def insert_task(self, name: str, request: TaskRequest) -> TaskInsertion:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/tasks", TaskInsertion, request)

    def task(self, name: str, number: str) -> TaskInsertion:
        path = f"/v1/jobs/{_part(name)}/tasks/{_part(number)}"
        return self._http.call("GET", path, TaskInsertion)

    def history(self, name: str, since: float) -> tuple[ReplicationSample, ...]:
        path = f"/v1/jobs/{_part(name)}/history?since={since}"
        return self._http.call("GET", path, tuple[ReplicationSample, ...])

    def take_snapshot(self, name: str, request: NewSnapshot) -> Operation:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/snapshots", Operation, request)

    def snapshots(self, name: str) -> tuple[SnapshotInfo, ...]:
        return self._http.call("GET", f"/v1/jobs/{_part(name)}/snapshots", tuple[SnapshotInfo, ...])

    def failover(self, name: str, request: FailoverRequest) -> Operation:
        return self._http.call("POST", f"/v1/jobs/{_part(name)}/failover", Operation, request)

    def operation(self, operation: str) -> Operation:
        # Asked again and again: an answer lost on the way must not hold the watching up for long.
        path = f"/v1/operations/{_part(operation)}"
        return self._http.call("GET", path, Operation, timeout=_POLL_SECONDS)


def _part(name: str) -> str:
    """A name as one path segment, whatever the user typed."""
    return quote(name, safe="")
