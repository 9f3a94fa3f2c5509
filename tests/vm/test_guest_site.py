"""Servers of each kind of storage, protected and failed over by an appliance with a kernel of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.retry import wait_until
from dtesx.lab import leftovers
from dtesx.lab.appliance_tree import appliance_tree
from dtesx.lab.guest import Surroundings
from dtesx.lab.kvm import kvm_works
from dtesx.lab.machine import Machine
from dtesx.lab.replica import QemuMachine
from dtesx.model.api import FailoverRequest, JobInfo, NewServer
from dtesx.model.inventory import Firmware, Inventory
from dtesx.model.job import JobSpec, JobState
from dtesx.model.replica import DiskSpec, DiskStrategy, StorageSpec
from dtesx.model.specs import MirrorSpec
from tests.integration.road.walk import CACHE, SPEC, Road, road_in
from tests.vm import servers
from tests.vm.servers import GIB, GuestSource, Identity

pytestmark = pytest.mark.vm

OWN = "/usr/local/lib/python3.11"
SECONDS = 900


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with road_in(tmp_path_factory.mktemp("lab"), guest=True) as road:
        yield road


@pytest.fixture
def surroundings(road: Road) -> Surroundings:
    kernel = appliance_tree(CACHE, print).kernel
    runtime = leftovers.runtime_directory(road.site.network.identity)
    return Surroundings(road.site.network, road.site.shell.key, runtime, lambda: kvm_works(CACHE, kernel))


def identity(road: Road, name: str, number: int) -> Identity:
    return Identity(name, f"10.77.0.{number}", f"52:54:00:77:00:{number:02x}", road.site.shell.key)


@contextmanager
def running(road: Road, server: GuestSource) -> Iterator[Inventory]:
    """A server that is on and known to the appliance."""
    began = time.monotonic()
    server.start()
    print(f"{server.name}: booted, its service ready after {time.monotonic() - began:.0f} s")
    try:
        road.client.add_server(NewServer(server.name, server.address, server.token()))
        yield road.client.inventory(server.name).inventory
    finally:
        server.stop()


def job(name: str, **replica: object) -> JobSpec:
    spec = replace(SPEC, name=name, source=name, mirror=MirrorSpec(exclude=(OWN,)))
    return replace(spec, replica=replace(spec.replica, **replica))  # type: ignore[arg-type]


def failed_over(road: Road, spec: JobSpec) -> JobInfo:
    """Protect and fail over, and say how long each step took."""
    road.create(spec)
    info = road.ended(spec.name, timeout=SECONDS, interval=2)
    assert info.state is JobState.PROTECTED, info.operation
    tell(info)
    road.client.failover(spec.name, FailoverRequest(final_mirror=True))
    info = road.ended(spec.name, timeout=SECONDS, interval=2)
    assert info.state is JobState.FAILED_OVER, info.operation
    tell(info)
    return info


def tell(info: JobInfo) -> None:
    assert info.operation is not None
    spent = [f"{step.name} {step.seconds:.0f} s" for step in info.operation.steps]
    print(f"{info.spec.name}: {', '.join(spent)}")


def seen(machine: Machine) -> str:
    """What must be the same in a server and its replica: what it is, holds and runs."""
    look = (
        "hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /srv/proof;"
        "findmnt --real --raw --noheadings --output TARGET,FSTYPE,UUID,FSROOT | sort;"
        "sha256sum /usr/bin/* /usr/sbin/* | sha256sum;"
        "ip -4 -brief address show eth0; systemctl --failed --no-legend --plain"
    )
    return machine.run(["sh", "-c", look], timeout=300).text


def logged_in(road: Road, info: JobInfo) -> QemuMachine:
    """The replica, when root can log in."""
    assert info.operation is not None
    replica = road.site.replica(info.spec.replica_name)
    assert wait_until(lambda: replica.run(["true"], ok=range(256)).status == 0, timeout=300, interval=2)
    handed_over = next(step.ended for step in info.operation.steps if step.name == "detach")
    print(f"{info.spec.name}: login {time.time() - handed_over:.0f} s after the disks were handed over")
    return replica


def test_volume_groups_and_uefi(road: Road, surroundings: Surroundings, tmp_path: Path) -> None:
    who = identity(road, "beta", 12)
    tree = appliance_tree(CACHE, print)
    disk = servers.new_disk(tmp_path / "beta.img", 4 * GIB, 0)
    hardware = servers.lvm_server(road.site.appliance, tree, disk, who)
    server = servers.machine(hardware, who, surroundings, tmp_path / "machine")
    with running(road, server) as inventory:
        assert inventory.firmware is Firmware.UEFI
        assert {fs.mount_point: fs.type for fs in inventory.file_systems} == {
            "/": "ext4",
            "/boot": "ext4",
            "/boot/efi": "vfat",
            "/data": "xfs",
        }
        before = seen(server)
        info = failed_over(road, job("beta"))
        assert wait_until(lambda: not server.alive(), timeout=60), "two machines must not carry one identity"
    replica = logged_in(road, info)
    assert replica.address == who.address
    assert seen(replica) == before
    assert replica.run(["cat", "/data/proof"]).text == servers.PROOF
    assert "/dev/dm-" in replica.run(["cat", "/proc/swaps"]).text
    names = replica.run(["lvs", "--noheadings", "--options", "lv_full_name"]).text.split()
    assert sorted(names) == ["debian/data", "debian/root", "debian/swap"]
    assert replica.run(["test", "-d", "/sys/firmware/efi"]).status == 0


@pytest.mark.skipif(
    "DTESX_ALL_MACHINES" not in os.environ,
    reason="takes five minutes or more: set DTESX_ALL_MACHINES to run it",
)
def test_subvolumes_on_disks_of_other_sizes(road: Road, surroundings: Surroundings, tmp_path: Path) -> None:
    who = identity(road, "gamma", 13)
    tree = appliance_tree(CACHE, print)
    disks = [servers.new_disk(tmp_path / f"gamma{n}.img", 3 * GIB, n) for n in range(2)]
    hardware, uuid = servers.btrfs_server(tree, disks, who)
    direct = servers.btrfs_boot(tree, uuid)
    server = servers.machine(hardware, who, surroundings, tmp_path / "machine", direct)
    storage = StorageSpec(
        DiskStrategy.PER_VOLUME, partitions={"/": DiskSpec(size="4GiB"), "/data": DiskSpec(size="1GiB")}
    )
    with running(road, server):
        before = seen(server)
        info = failed_over(road, job("gamma", storage=storage))
    replica = logged_in(road, info)
    assert replica.address == who.address
    assert seen(replica) == before
    assert replica.run(["cat", "/home/proof", "/data/proof"]).text == servers.PROOF * 2
    sizes = replica.run(["lsblk", "--noheadings", "--list", "--bytes", "--output", "SIZE,MOUNTPOINT"]).text
    assert f"{GIB} /data\n" in sizes
