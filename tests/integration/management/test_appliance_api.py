from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx.base.errors import (
    Conflict,
    ConnectionFailed,
    NotFound,
    Refused,
    UntrustedCertificate,
    UsageError,
)
from dtesx.management import api
from dtesx.management.client import Appliance
from dtesx.management.jobs import Jobs
from dtesx.management.plans import Plans
from dtesx.management.relay import Relay
from dtesx.management.replica_watch import ReplicaWatch
from dtesx.management.server import serving
from dtesx.management.servers import Servers
from dtesx.management.steering import Steering
from dtesx.management.store import Store
from dtesx.management.tending import Tending
from dtesx.management.validations import Validations
from dtesx.management.vmware import Vmware
from dtesx.management.web import application
from dtesx.model.api import FailoverRequest, NewServer, NewSnapshot, NewVmware
from dtesx.model.job import JobState, Operation, StepState
from dtesx.model.vmware import About, Datastore, Network, VirtualMachine, VmwareServer
from dtesx.vsphere.client import VSphere
from dtesx.wire import pairing
from dtesx.wire.identity import create, load_or_create
from dtesx.wire.tls import server_context
from tests.integration.management.site import SourceSite, source_site
from tests.unit.management.fakes import SPEC, FakeExecutor, FakeSite

pytestmark = pytest.mark.integration

THUMBPRINT = "AA:" * 31 + "AA"
VMWARE = NewVmware("vc", "127.0.0.1", "root", "good", thumbprint=THUMBPRINT, appliance_vm="appliance")


class FakeVSphere:
    """A vCenter with one VM."""

    def about(self) -> About:
        return About("VMware vCenter Server", "8.0.3", "1", "VirtualCenter", "u")

    def datastores(self) -> tuple[Datastore, ...]:
        return (Datastore("datastore-1", "ds1", "VMFS", 10, 5),)

    def networks(self) -> tuple[Network, ...]:
        return (Network("network-1", "VM Network", False),)

    def find_vm(self, name: str) -> VirtualMachine:
        if name != "appliance":
            raise NotFound(f"there is no VM {name}", hint="there is: appliance")
        return VirtualMachine("vm-1", name, "0000", True, ())

    def vm_by_uuid(self, uuid: str) -> VirtualMachine:
        if uuid != "4207-own":
            raise NotFound("no such uuid")
        return VirtualMachine("vm-1", "appliance", uuid, True, ())


@contextmanager
def connect(server: VmwareServer, password: str) -> Iterator[VSphere]:
    if server.thumbprint != THUMBPRINT:
        raise UntrustedCertificate("not trusted", thumbprint=THUMBPRINT)
    if password != "good":
        raise Refused("wrong user or password", hint="check both")
    yield cast(Any, FakeVSphere())


@dataclass
class ApplianceSite:
    client: Appliance
    executor: FakeExecutor
    store: Store
    url: str
    certificate: str
    uuid_file: Path

    def finished(self, operation: Operation) -> Operation:
        deadline = time.monotonic() + 5
        while (now := self.client.operation(operation.id)).state in (StepState.PENDING, StepState.RUNNING):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return now


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[ApplianceSite]:
    state = tmp_path / "appliance"
    identity = load_or_create(state, "appliance")
    store, executor, uuid_file = Store(state), FakeExecutor(), tmp_path / "product_uuid"
    executor.go.set()
    site = FakeSite(store)
    cancel = threading.Event()
    tending = Tending(store, site.workers, site, cancel)
    jobs = Jobs(
        *(store, executor, site.workers, site, tending),
        ReplicaWatch(store, Vmware(store), cancel),
        cancel,
    )
    vmware = Vmware(store, connect=connect, uuid_file=uuid_file)
    steering = Steering(store, site.workers, site, threading.Event())
    servers, plans = Servers(store, identity.certificate), Plans(store, site, cancel)
    validations = Validations(store, site, vmware, state / "jobs", cancel)
    rules = api.rules(store, servers, vmware, jobs, plans, validations, steering, Relay(store))
    app = application(rules, authorised=lambda bearer: pairing.matches(bearer, "the-token"))
    with serving(app, "127.0.0.1", 0, server_context(identity)) as port:
        url = f"https://127.0.0.1:{port}"
        with closing(Appliance(url, identity.certificate, "the-token")) as client:
            yield ApplianceSite(client, executor, store, url, identity.certificate, uuid_file)
    jobs.close(5)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceSite]:
    with source_site(tmp_path / "source") as made:
        yield made


def furnish(appliance: ApplianceSite, source: SourceSite) -> None:
    appliance.client.add_server(NewServer("alpha", "127.0.0.1", source.token, source.port))
    appliance.client.add_vmware(VMWARE)


def test_servers(appliance: ApplianceSite, source: SourceSite) -> None:
    client = appliance.client
    info = client.add_server(NewServer("alpha", "127.0.0.1", source.token, source.port))
    assert info.hostname == "alpha"
    assert client.servers() == (info,)
    assert client.inventory("alpha").inventory.hostname == "alpha"
    token = source.token
    with pytest.raises(Conflict, match="server alpha already"):
        client.add_server(NewServer("alpha", "127.0.0.1", token, source.port))
    assert source.token == token  # a taken name does not spend the token
    client.remove_server("alpha")
    assert client.servers() == ()
    with pytest.raises(NotFound):
        client.inventory("alpha")


def test_errors_of_the_source_arrive_whole(appliance: ApplianceSite, source: SourceSite) -> None:
    with pytest.raises(Refused, match="one-time token") as refused:
        appliance.client.add_server(NewServer("alpha", "127.0.0.1", "wrong", source.port))
    assert str(source.state) in refused.value.hint
    with pytest.raises(ConnectionFailed) as away:
        appliance.client.add_server(NewServer("alpha", "127.0.0.1", "any", 1))
    assert away.value.hint


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (NewServer("Not A Name", "127.0.0.1", "t"), "name:"),
        (NewServer("../../etc", "127.0.0.1", "t"), "name:"),
        (NewServer("alpha", "127.0.0.1", "t", port=70000), "port:"),
    ],
)
def test_bad_names_and_ports(appliance: ApplianceSite, server: NewServer, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        appliance.client.add_server(server)


def test_vmware(appliance: ApplianceSite) -> None:
    client = appliance.client
    made = client.add_vmware(VMWARE)
    assert made.about is not None
    assert [known.name for known in client.vmware()] == ["vc"]
    assert client.vmware()[0].about is None
    details = client.vmware_details("vc")
    assert details.datastores[0].name == "ds1"
    assert details.networks[0].name == "VM Network"
    with pytest.raises(Conflict):
        client.add_vmware(VMWARE)
    client.remove_vmware("vc")
    with pytest.raises(NotFound):
        client.vmware_details("vc")


def test_an_untrusted_certificate_says_how_to_trust_it(appliance: ApplianceSite) -> None:
    with pytest.raises(UntrustedCertificate) as caught:
        appliance.client.add_vmware(replace(VMWARE, thumbprint=""))
    assert caught.value.thumbprint == THUMBPRINT
    assert f"--trust-thumbprint {THUMBPRINT}" in caught.value.hint
    with pytest.raises(UntrustedCertificate, match="another certificate"):
        appliance.client.add_vmware(replace(VMWARE, thumbprint="BB"))
    lower = replace(VMWARE, thumbprint=THUMBPRINT.lower())
    assert appliance.client.add_vmware(lower).thumbprint == THUMBPRINT


def test_a_wrong_login_is_not_stored(appliance: ApplianceSite) -> None:
    with pytest.raises(Refused, match="password"):
        appliance.client.add_vmware(replace(VMWARE, password="bad"))
    with pytest.raises(NotFound, match="no VM"):
        appliance.client.add_vmware(replace(VMWARE, appliance_vm="another"))
    assert appliance.client.vmware() == ()


def test_the_appliance_finds_itself(appliance: ApplianceSite) -> None:
    nameless = replace(VMWARE, appliance_vm="")
    with pytest.raises(NotFound) as unreadable:
        appliance.client.add_vmware(nameless)
    assert "--appliance-vm" in unreadable.value.hint
    appliance.uuid_file.write_text("4207-ELSEWHERE\n")
    with pytest.raises(NotFound, match="no VM with this appliance's UUID"):
        appliance.client.add_vmware(nameless)
    appliance.uuid_file.write_text("4207-OWN\n")
    assert appliance.client.add_vmware(nameless).appliance_vm == "appliance"


def test_a_job_from_file_to_failover(appliance: ApplianceSite, source: SourceSite) -> None:
    client = appliance.client
    with pytest.raises(NotFound, match="server alpha"):
        client.create_job(SPEC)
    furnish(appliance, source)
    made = client.create_job(SPEC)
    assert made.operation is not None
    appliance.finished(made.operation)
    assert client.job("alpha").state is JobState.PROTECTED
    assert [job.id for job in client.jobs()] == [made.id]
    assert client.status().jobs == {"alpha": "protected"}
    with pytest.raises(Conflict, match="used by"):
        client.remove_server("alpha")
    assert appliance.finished(client.mirror("alpha")).state is StepState.DONE
    appliance.finished(client.take_snapshot("alpha", NewSnapshot("why")))
    assert client.snapshots("alpha") == ()
    appliance.finished(client.failover("alpha", FailoverRequest(final_mirror=False)))
    assert client.job("alpha").state is JobState.FAILED_OVER
    with pytest.raises(Conflict):
        client.mirror("alpha")
    operation = appliance.finished(client.delete_job("alpha", keep_replica=True))
    assert operation.params == {"keep_replica": "yes"}
    assert client.jobs() == ()
    client.remove_server("alpha")


def test_a_failed_operation_shows_its_problem(appliance: ApplianceSite, source: SourceSite) -> None:
    furnish(appliance, source)
    appliance.executor.fail = True
    made = appliance.client.create_job(SPEC)
    assert made.operation is not None
    appliance.finished(made.operation)
    info = appliance.client.job("alpha")
    assert info.problem is not None
    assert (info.state, info.problem.hint) == (JobState.PROTECT_FAILED, "start it")


def test_the_token_and_the_certificate_are_checked(appliance: ApplianceSite) -> None:
    with closing(Appliance(appliance.url, appliance.certificate, "wrong")) as stranger:
        with pytest.raises(Refused) as refused:
            stranger.servers()
        assert "admin-token" in refused.value.hint
    with closing(Appliance(appliance.url, create("other").certificate, "the-token")) as misled:
        with pytest.raises(UntrustedCertificate) as untrusted:
            misled.servers()
        assert untrusted.value.thumbprint
    with closing(Appliance("https://127.0.0.1:1", appliance.certificate, "t")) as nowhere:
        with pytest.raises(ConnectionFailed) as away:
            nowhere.status()
        assert away.value.hint
    with pytest.raises(UsageError):
        Appliance("10.0.0.5", appliance.certificate, "t")


def test_what_is_not_there(appliance: ApplianceSite) -> None:
    for call in (appliance.client.job, appliance.client.mirror, appliance.client.snapshots):
        with pytest.raises(NotFound) as caught:
            call("a/../b?c")
        assert caught.value.hint
    with pytest.raises(NotFound):
        appliance.client.operation("none")
