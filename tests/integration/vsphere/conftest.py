"""One simulator for the whole folder; every test makes VMs of its own in it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from dtesx.lab.simulator import Simulator, SimulatorConfig, SimulatorUser, build
from dtesx.model import scsi
from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskFormat, DiskLayout
from dtesx.model.vmware import NicPlan, ReplicaPlan, VirtualMachine, VmwareServer
from dtesx.vsphere import privileges
from dtesx.vsphere.client import VSphere, connect
from dtesx.vsphere.trust import presented_thumbprint
from dtesx.wire.identity import load_or_create

CACHE = Path(__file__).parents[3] / ".cache" / "simulator"
APPLIANCE = "dtesx-appliance"
STORE = "datastore1"
UUID = "42010203-0405-0607-0809-0a0b0c0d0e0f"
MIB = 1 << 20

PRIVILEGES = privileges.IDS
"""The role of docs/vsphere.md."""


@dataclass(frozen=True)
class Site:
    """A running simulator with what a test needs to reach it."""

    simulator: Simulator
    server: VmwareServer
    datastore: Path

    @contextmanager
    def login(self, user: str = "admin") -> Iterator[VSphere]:
        with connect(replace(self.server, user=user), "secret") as vsphere:
            yield vsphere

    def file(self, path: str) -> Path:
        """Where the data of a disk lies on this machine."""
        store, _, name = path.removeprefix("[").partition("] ")
        return self.stores[store] / name.replace(".vmdk", "-flat.vmdk")

    @property
    def stores(self) -> dict[str, Path]:
        """The directories of the datastores; the second is there with a spare host only."""
        return {"datastore1": self.datastore, "datastore2": Path(f"{self.datastore}2")}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running_site(directory: Path, *, spare: bool = False) -> Iterator[Site]:
    load_or_create(directory, "vc.test")
    everyone = [SimulatorUser("admin", "secret"), SimulatorUser("exact", "secret", "Role", PRIVILEGES)]
    for missing in PRIVILEGES:
        rest = tuple(item for item in PRIVILEGES if item != missing)
        everyone.append(SimulatorUser(f"without-{missing}", "secret", f"No {missing}", rest))
    config = SimulatorConfig(
        address="127.0.0.1",
        port=free_port(),
        datastore=directory / "ds",
        certificate=directory / "identity.crt",
        key=directory / "identity.key",
        users=tuple(everyone),
        appliance_name=APPLIANCE,
        appliance_uuid=UUID,
        control=directory / "control",
        spare=spare,
    )
    with Simulator(build(CACHE), config, directory) as simulator:
        pin = presented_thumbprint("127.0.0.1", config.port)
        yield Site(simulator, VmwareServer("vc", "127.0.0.1", "admin", config.port, pin), directory / "ds")


@pytest.fixture(name="privileges")
def all_privileges() -> tuple[str, ...]:
    return PRIVILEGES


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A simulator of one's own, to be stopped or filled."""
    with running_site(tmp_path) as running:
        yield running


@pytest.fixture
def vsphere(site: Site) -> Iterator[VSphere]:
    with site.login() as connected:
        yield connected


@pytest.fixture
def appliance(vsphere: VSphere) -> VirtualMachine:
    return vsphere.find_vm(APPLIANCE)


def disks(*sizes: int, form: DiskFormat = DiskFormat.THIN) -> tuple[DiskLayout, ...]:
    """Blank disks of these sizes at the first places."""
    return tuple(
        DiskLayout(index, size, (), STORE, form, place.bus, place.unit)
        for index, (size, place) in enumerate(zip(sizes, scsi.places(0), strict=False))
    )


Disks = Callable[..., tuple[DiskLayout, ...]]


@pytest.fixture
def some_disks() -> Disks:
    return disks


_numbers = count(1)


@pytest.fixture
def plan() -> ReplicaPlan:
    """A small replica with a name that no other test uses."""
    name = f"alpha-{next(_numbers)}-replica"
    return ReplicaPlan(
        name=name,
        owner=f"job-of-{name}",
        datastore=STORE,
        guest_id="debian12_64Guest",
        firmware=Firmware.BIOS,
        sockets=2,
        cores_per_socket=1,
        memory_mib=1024,
        disks=disks(64 * MIB, 32 * MIB),
        nics=(NicPlan("VM Network", "00:50:56:00:00:01"),),
    )


MakeReplica = Callable[[ReplicaPlan], VirtualMachine]


@pytest.fixture
def make_replica(vsphere: VSphere, appliance: VirtualMachine) -> Iterator[MakeReplica]:
    """Makes replicas; afterwards the appliance holds none of their disks and they are gone."""
    with ExitStack() as undo:

        def make(plan: ReplicaPlan) -> VirtualMachine:
            made = vsphere.create_replica(plan, beside=appliance.ref)
            undo.callback(vsphere.destroy_vm, made.ref, owner=plan.owner)
            for disk in made.disks:
                undo.callback(vsphere.detach_disk, appliance.ref, disk)
            return made

        yield make


@pytest.fixture
def replica(make_replica: MakeReplica, plan: ReplicaPlan) -> VirtualMachine:
    return make_replica(plan)


@pytest.fixture
def moving_site(tmp_path: Path) -> Iterator[Site]:
    """A simulator of one's own with a second host and a second datastore."""
    with running_site(tmp_path, spare=True) as running:
        yield running
