"""From a job file's wishes and a source to a virtual machine that is what the plan said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dtesx.model.job import JobSpec
from dtesx.model.layout import MIB, DiskFormat
from dtesx.model.replica import DiskSpec, DiskStrategy, ReplicaSpec, StorageSpec
from dtesx.model.vmware import ReplicaPlan, VirtualMachine, Whereabouts
from dtesx.planning.plan import plan_job
from dtesx.vsphere import collector
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.machines import DEVICES, handle
from tests.unit.planning.sources import fs, inventory

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("volumes", [3, 20])
def test_a_planned_replica_is_made_as_planned(
    vsphere: VSphere,
    appliance: VirtualMachine,
    make_replica: Callable[[ReplicaPlan], VirtualMachine],
    volumes: int,
) -> None:
    mounts = ["/", *(f"/m{number}" for number in range(1, volumes))]
    source = inventory(*(fs(m, size=20 * MIB, device=f"/dev/sda{n}") for n, m in enumerate(mounts)))
    storage = StorageSpec(
        DiskStrategy.PER_VOLUME, partitions={"/m1": DiskSpec(size="32MiB", format=DiskFormat.FLAT)}
    )
    networks = {"eth0": "Recovery Network", "eth1": None}
    wanted = ReplicaSpec(
        "datastore1", f"planned-{volumes}", cluster="Cluster", storage=storage, networks=networks
    )
    offer = vsphere.offer(appliance.ref, Whereabouts(cluster="Cluster"))
    plan = plan_job(JobSpec("planned", "alpha", "vc", wanted), source, offer, owner=f"job {volumes}")
    assert plan.obstacles == ()
    made = make_replica(plan.replica)
    assert [disk.size_bytes for disk in made.disks] == [disk.size_bytes for disk in plan.layout.disks]
    devices = collector.properties(vsphere._session, handle(vsphere._session, made.ref), (DEVICES,))[DEVICES]
    buses = {item.key: item.busNumber for item in devices if hasattr(item, "busNumber")}
    seats = [(buses[disk.controller], disk.unit) for disk in made.disks]
    assert seats == [(disk.bus, disk.unit) for disk in plan.layout.disks]
    thin = [item.backing.thinProvisioned for item in devices if hasattr(item, "capacityInKB")]
    assert thin.count(False) == 1
    assert [nic.network for nic in made.nics] == ["Recovery Network"]
    held = [vsphere.attach_disk(appliance.ref, disk) for disk in made.disks]
    assert len({(disk.controller, disk.unit) for disk in held}) == volumes
