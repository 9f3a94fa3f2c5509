from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.base.errors import Conflict, NotFound, TargetFull, UsageError
from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskFormat, DiskLayout
from dtesx.model.vmware import NicPlan, ReplicaPlan, VirtualMachine, Whereabouts
from dtesx.vsphere import collector
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.machines import DEVICES, handle
from dtesx.vsphere.replica import find_replica

pytestmark = pytest.mark.integration

MakeReplica = Callable[[ReplicaPlan], VirtualMachine]
Disks = Callable[..., tuple[DiskLayout, ...]]
MIB = 1 << 20


def raw(vsphere: VSphere, made: VirtualMachine, *paths: str) -> Any:
    session = vsphere._session
    return collector.properties(session, handle(session, made.ref), paths)


def test_a_replica_is_made_as_planned(
    site: Any, vsphere: VSphere, plan: ReplicaPlan, replica: VirtualMachine
) -> None:
    assert replica.name == plan.name
    assert not replica.powered_on
    assert plan.owner in replica.annotation
    assert [disk.size_bytes for disk in replica.disks] == [64 * MIB, 32 * MIB]
    assert [site.file(disk.path).stat().st_size for disk in replica.disks] == [64 * MIB, 32 * MIB]
    assert {disk.path.split("/")[0] for disk in replica.disks} == {f"[datastore1] {plan.name}"}
    assert all(uuid.UUID(disk.uuid) and disk.uuid.startswith("6000C29") for disk in replica.disks)
    assert [(nic.mac, nic.network) for nic in replica.nics] == [("00:50:56:00:00:01", "VM Network")]
    values = raw(
        vsphere, replica, "config.firmware", "config.extraConfig", "config.hardware", "config.guestId"
    )
    assert values["config.firmware"] == "bios"
    assert values["config.guestId"] == plan.guest_id
    assert {item.key: item.value for item in values["config.extraConfig"]}["disk.EnableUUID"] == "TRUE"
    assert (values["config.hardware"].numCPU, values["config.hardware"].memoryMB) == (2, 1024)
    kinds = {type(device) for device in values["config.hardware"].device}
    assert vim.vm.device.ParaVirtualSCSIController in kinds
    assert vim.vm.device.VirtualVmxnet3 in kinds
    assert vsphere.find_vm(plan.name) == replica


@pytest.mark.parametrize(
    ("format_", "flags"),
    [(DiskFormat.THIN, (True, False)), (DiskFormat.FLAT, (False, False)), (DiskFormat.THICK, (False, True))],
)
def test_disk_formats(
    vsphere: VSphere,
    make_replica: MakeReplica,
    plan: ReplicaPlan,
    format_: DiskFormat,
    flags: tuple[bool, bool],
    some_disks: Disks,
) -> None:
    made = make_replica(replace(plan, disks=some_disks(8 * MIB, form=format_), firmware=Firmware.UEFI))
    values = raw(vsphere, made, DEVICES, "config.firmware")
    backing: Any
    (backing,) = [item.backing for item in values[DEVICES] if isinstance(item, vim.vm.device.VirtualDisk)]
    assert (backing.thinProvisioned, backing.eagerlyScrub) == flags
    assert values["config.firmware"] == "efi"


def test_many_disks_and_networks(make_replica: MakeReplica, plan: ReplicaPlan, some_disks: Disks) -> None:
    nics = (NicPlan("Recovery Network"), NicPlan("VM Network"))
    made = make_replica(replace(plan, disks=some_disks(*(MIB,) * 17), nics=nics))
    assert len(made.disks) == 17
    assert len({disk.controller for disk in made.disks}) == 2
    assert 7 not in {disk.unit for disk in made.disks}
    assert [nic.network for nic in made.nics] == ["Recovery Network", "VM Network"]
    assert all(nic.mac for nic in made.nics)


def test_making_it_again_gives_the_same(
    vsphere: VSphere, plan: ReplicaPlan, replica: VirtualMachine, appliance: VirtualMachine
) -> None:
    assert vsphere.create_replica(plan, beside=appliance.ref) == replica


def test_a_request_of_a_former_run_that_ends_meanwhile(
    vsphere: VSphere,
    plan: ReplicaPlan,
    replica: VirtualMachine,
    appliance: VirtualMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Our look finds the name free, the request then finds it taken: by ourselves, or by somebody."""
    for wanted in (plan, replace(plan, owner="somebody-else")):
        look = find_replica
        looks: list[Any] = []

        def blind(*args: Any, look: Any = look, looks: list[Any] = looks) -> Any:
            looks.append(args)
            return look(*args) if len(looks) > 1 else None

        monkeypatch.setattr("dtesx.vsphere.replica.find_replica", blind)
        if wanted is plan:
            assert vsphere.create_replica(wanted, beside=appliance.ref) == replica
        else:
            with pytest.raises(Conflict, match="does not belong to this job"):
                vsphere.create_replica(wanted, beside=appliance.ref)
        assert len(looks) == 2


def test_a_changed_plan_does_not_pass_for_the_same(
    vsphere: VSphere,
    plan: ReplicaPlan,
    replica: VirtualMachine,
    appliance: VirtualMachine,
    some_disks: Disks,
) -> None:
    with pytest.raises(Conflict, match="disks are not those of the plan"):
        vsphere.create_replica(replace(plan, disks=some_disks(64 * MIB)), beside=appliance.ref)


def test_a_name_that_is_taken(
    vsphere: VSphere, plan: ReplicaPlan, replica: VirtualMachine, appliance: VirtualMachine
) -> None:
    for other in (replace(plan, owner="somebody-else"), replace(plan, name=appliance.name)):
        with pytest.raises(Conflict, match=f"{other.name} exists already") as caught:
            vsphere.create_replica(other, beside=appliance.ref)
        assert "replica.name" in caught.value.hint


def test_a_name_taken_by_a_folder(vsphere: VSphere, plan: ReplicaPlan, appliance: VirtualMachine) -> None:
    """vSphere itself says DuplicateName: no VM has the name, so our own look cannot see it."""
    session = vsphere._session
    parent = raw(vsphere, appliance, "parent")["parent"]
    folder = parent.CreateFolder(plan.name)
    assert collector.properties(session, folder, ("name",))["name"] == plan.name
    with pytest.raises(Conflict, match=f"could not create the replica {plan.name}: the name {plan.name} is"):
        vsphere.create_replica(plan, beside=appliance.ref)


def test_names_that_do_not_exist_are_told_with_those_that_do(
    vsphere: VSphere, plan: ReplicaPlan, appliance: VirtualMachine
) -> None:
    wrong = {
        "no datastore called d9; there are: datastore1": replace(plan, datastore="d9"),
        "no network called VM Netwerk; there are: VM Network": replace(plan, nics=(NicPlan("VM Netwerk"),)),
        "no resource pool called Gold; there are: .*Resources": replace(
            plan, where=Whereabouts(resource_pool="Gold")
        ),
        "no VM folder called x/y": replace(plan, where=Whereabouts(folder="x/y")),
        "no ESXi host called esx9; there are: esx1.lab": replace(plan, where=Whereabouts(host="esx9")),
        "no cluster called C; there are: Cluster": replace(plan, where=Whereabouts(cluster="C")),
    }
    for words, bad in wrong.items():
        with pytest.raises(NotFound, match=words) as caught:
            vsphere.create_replica(bad, beside=appliance.ref)
        assert "replica." in caught.value.hint


def test_a_bad_name_is_refused(vsphere: VSphere, plan: ReplicaPlan, appliance: VirtualMachine) -> None:
    with pytest.raises(UsageError, match="a/b is not a name"):
        vsphere.create_replica(replace(plan, name="a/b"), beside=appliance.ref)


def test_a_full_datastore_leaves_nothing_behind(
    site: Any,
    vsphere: VSphere,
    plan: ReplicaPlan,
    appliance: VirtualMachine,
    make_replica: MakeReplica,
    some_disks: Disks,
) -> None:
    thick = replace(plan, disks=some_disks(64 * MIB, 32 * MIB, form=DiskFormat.FLAT))
    site.simulator.limit_datastore("datastore1", 48 * MIB)
    try:
        with pytest.raises(TargetFull, match="datastore1 has not enough free space") as caught:
            vsphere.create_replica(thick, beside=appliance.ref)
    finally:
        site.simulator.limit_datastore("datastore1", None)
    assert "replica.datastore" in caught.value.hint
    assert caught.value.recoverable
    with pytest.raises(NotFound):
        vsphere.find_vm(plan.name)
    assert make_replica(thick).disks


def test_in_a_folder_and_a_pool_of_its_own(
    vsphere: VSphere, plan: ReplicaPlan, appliance: VirtualMachine, make_replica: MakeReplica
) -> None:
    values = raw(vsphere, appliance, "parent", "resourcePool")
    folder = values["parent"].CreateFolder("prod").CreateFolder("web")
    allocation = vim.ResourceAllocationInfo(
        reservation=0,
        limit=-1,
        expandableReservation=True,
        shares=vim.SharesInfo(level="normal", shares=4000),
    )
    pool = values["resourcePool"].CreateResourcePool(
        "Silver", vim.ResourceConfigSpec(cpuAllocation=allocation, memoryAllocation=allocation)
    )
    made = make_replica(replace(plan, where=Whereabouts(folder="prod/web", resource_pool="Silver")))
    placed = raw(vsphere, made, "parent", "resourcePool")
    assert placed["parent"]._moId == folder._moId
    assert placed["resourcePool"]._moId == pool._moId
    by_name = make_replica(replace(plan, name=plan.name + "-2", owner="two", where=Whereabouts(folder="web")))
    assert raw(vsphere, by_name, "parent")["parent"]._moId == folder._moId


@pytest.mark.parametrize("where", [Whereabouts(host="esx1.lab"), Whereabouts(cluster="Cluster")])
def test_on_a_host_or_in_a_cluster_that_was_named(
    vsphere: VSphere, plan: ReplicaPlan, make_replica: MakeReplica, where: Whereabouts
) -> None:
    made = make_replica(replace(plan, where=where, nics=(NicPlan("Recovery Network"),)))
    pool = raw(vsphere, made, "resourcePool")["resourcePool"]
    owner = collector.properties(vsphere._session, pool, ("owner",))["owner"]
    assert collector.properties(vsphere._session, owner, ("name",))["name"] == "Cluster"


@pytest.mark.parametrize(
    "where", [Whereabouts(), Whereabouts(host="esx1.lab"), Whereabouts(cluster="Cluster")]
)
def test_what_there_is_for_a_replica(vsphere: VSphere, appliance: VirtualMachine, where: Whereabouts) -> None:
    found = vsphere.offer(appliance.ref, where)
    assert [store.name for store in found.datastores] == ["datastore1"]
    assert found.datastores[0].free_bytes > 0
    present = {network.name: network.distributed for network in found.networks}
    assert present["Recovery Network"]
    assert not present["VM Network"]
    assert found.appliance_disks == len(appliance.disks)
    assert found.hardware == appliance.hardware >= 10


@pytest.mark.parametrize(
    "call",
    ["CreateContainerView", "RetrievePropertiesEx", "CreateVM_Task", "CreateFilter", "WaitForUpdatesEx"],
)
def test_a_session_that_expires_right_before_a_call(
    site: Any, vsphere: VSphere, plan: ReplicaPlan, make_replica: MakeReplica, call: str
) -> None:
    stub = vsphere._session._stub
    invoke = stub.InvokeMethod
    expired: list[int] = []

    def expiring(managed: Any, info: Any, args: Any) -> Any:
        if info.wsdlName == call and not expired:
            expired.append(site.simulator.expire_sessions())
        return invoke(managed, info, args)

    stub.InvokeMethod = expiring
    try:
        made = make_replica(plan)
    finally:
        stub.InvokeMethod = invoke
    assert expired
    assert expired[0] > 0
    assert [disk.size_bytes for disk in made.disks] == [64 * MIB, 32 * MIB]
