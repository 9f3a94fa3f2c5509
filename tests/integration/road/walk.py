"""The road as tests walk it: calls of the API, and the troubles that happen on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError, NotFound
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.lab.network import interface_name
from dtesx.lab.simulator import Simulator
from dtesx.lab.site import Site, lab_site
from dtesx.management.client import Appliance
from dtesx.model.api import JobInfo, NewServer, NewVmware
from dtesx.model.job import JobSpec, Operation, StepState
from dtesx.model.replica import ReplicaSpec
from dtesx.vsphere.trust import presented_thumbprint

CACHE = Path(__file__).parents[3] / ".cache"
ENDED = (StepState.DONE, StepState.FAILED, StepState.INTERRUPTED)
SPEC = JobSpec(
    "alpha", "alpha", "lab", ReplicaSpec("datastore1", sockets=1, cores_per_socket=1, memory_mib=1024)
)


@dataclass
class Road:
    """A lab, a client of its appliance, and what tests do with them."""

    site: Site
    client: Appliance
    jobs: set[str] = field(default_factory=set)

    @property
    def simulator(self) -> Simulator:
        assert self.site.simulator is not None
        return self.site.simulator

    def add_server(self) -> None:
        token = self.site.source_token_file.read_text().strip()
        self.client.add_server(NewServer("alpha", self.site.source.address, token))

    def vmware(self) -> NewVmware:
        """The lab's vCenter, as an administrator enters it."""
        access = self.site.vcenter
        address, _, port = access.forward.rpartition(":")
        return NewVmware(
            name="lab",
            address=access.address,
            port=access.port,
            user=access.user,
            password=access.password,
            thumbprint=presented_thumbprint(address, int(port)),
            appliance_vm=self.site.appliance_vm,
        )

    def add_vmware(self) -> None:
        self.client.add_vmware(self.vmware())

    def create(self, spec: JobSpec) -> JobInfo:
        self.jobs.add(spec.name)
        return self.client.create_job(spec)

    def protect(self, spec: JobSpec) -> JobInfo:
        """Create (or resume) a job and wait for the end of its operation."""
        self.create(spec)
        return self.ended(spec.name)

    def ended(self, job: str, *, timeout: float = 180.0, interval: float = 0.1) -> JobInfo:
        """Wait until the job's operation ended, well or not."""

        def over() -> bool:
            return self.operation(job).state in ENDED

        assert wait_until(over, timeout=timeout, interval=interval), self.operation(job)
        return self.client.job(job)

    def operation(self, job: str) -> Operation:
        found = self.client.job(job).operation
        assert found is not None
        return found

    def at_step(self, job: str, step: str, *, sent_bytes: int = 0) -> None:
        """Wait until the operation has begun ``step`` and, for a mirror, sent that much."""

        def reached() -> bool:
            info = self.client.job(job)
            assert info.operation is not None
            begun = any(s.name == step and s.state is not StepState.PENDING for s in info.operation.steps)
            sent = info.mirror.bytes_sent if info.mirror else 0
            assert info.operation.state not in ENDED, info.operation
            return begun and sent >= sent_bytes

        assert wait_until(reached, timeout=90, interval=0.02), f"{step} never began"

    def forget(self) -> None:
        """Delete every job made, with its replica."""
        for name in sorted(self.jobs):
            try:
                self.ended(name)
                self.client.delete_job(name, keep_replica=False)
            except NotFound:
                continue
            assert wait_until(lambda name=name: self._gone(name), timeout=60), name  # type: ignore[misc]
        self.jobs.clear()

    def _gone(self, name: str) -> bool:
        try:
            info = self.client.job(name)
        except NotFound:
            return True
        assert info.operation is None or info.operation.state is not StepState.FAILED, info.operation
        return False

    def directory(self, job: str) -> Path:
        """The job's directory on the appliance."""
        return self.site.appliance.state / "jobs" / self.client.job(job).id

    def replica_file(self, job: str, path: str) -> bytes:
        """A file of the mounted replica, as the appliance sees it."""
        return self.site.appliance.run(["cat", str(self.directory(job) / "replica" / "0" / path)]).stdout

    def worker_pid(self, job: str) -> int:
        """The id of the job's worker within the appliance."""
        return int((self.directory(job) / "worker.lock").read_text())

    def cable(self, machine: str, state: str) -> None:
        """Pull (down) or plug in (up) a machine's network cable."""
        run(["ip", "-n", self.site.network.namespace, "link", "set", interface_name("v", machine), state])

    @contextmanager
    def killed(self, restart: bool = True) -> Iterator[None]:
        """The management service dies by kill -9 now, and is started again at the end."""
        self.site.appliance.stop_service("appliance", patience=0)
        try:
            yield
        finally:
            if restart:
                self.site.appliance.start_service("appliance")


@contextmanager
def road_in(directory: Path, *, guest: bool = False) -> Iterator[Road]:
    """Bring a lab up in ``directory`` and make its server and vCenter known to its appliance.

    With ``guest`` the appliance is a machine in QEMU.
    """
    with lab_site(directory, CACHE, print, guest=guest) as site, closing(_client(site)) as client:
        road = Road(site, client)
        road.add_server()
        road.add_vmware()
        yield road


def _client(site: Site) -> Appliance:
    return Appliance(
        site.appliance_url,
        site.appliance_certificate_file.read_text(),
        site.admin_token_file.read_text().strip(),
    )


def named(job: str, /, **replica: str) -> JobSpec:
    """The usual job under another name."""
    return replace(SPEC, name=job, replica=replace(SPEC.replica, **replica))  # type: ignore[arg-type]


def problem(info: JobInfo) -> tuple[str, str, str]:
    """Code, message and hint of what went wrong; the hint must not be empty."""
    assert info.operation is not None
    assert info.operation.problem is not None, info.operation
    found = info.operation.problem
    assert found.hint, found
    return found.code, found.message, found.hint


def refused(action: Callable[[], object]) -> DtesxError:
    """The error that an action must raise; it has a hint."""
    with pytest.raises(DtesxError) as caught:
        action()
    assert caught.value.hint, caught.value
    return caught.value
