from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.errors import Conflict, ConnectionFailed, Interrupted, NotFound, Refused, UsageError
from dtesx.model.vmware import ReplicaPlan, VirtualMachine
from dtesx.vsphere import collector
from dtesx.vsphere.client import VSphere

pytestmark = pytest.mark.integration


def ignore(_elapsed: float) -> None:
    pass


def live_filters(vsphere: VSphere) -> int:
    session = vsphere._session
    values = collector.properties(session, session.content.propertyCollector, ("filter",))
    return len(values.get("filter", ()))


def test_power_calls_may_be_repeated(vsphere: VSphere, replica: VirtualMachine) -> None:
    for _ in range(2):
        vsphere.power_on(replica.ref)
    assert vsphere.vm(replica.ref).powered_on
    for _ in range(2):
        vsphere.power_off(replica.ref)
    assert not vsphere.vm(replica.ref).powered_on


def test_the_address_is_waited_for(site: Any, vsphere: VSphere, replica: VirtualMachine) -> None:
    vsphere.power_on(replica.ref)
    report = threading.Timer(
        1.0, lambda: site.simulator.set_guest(replica.name, address="10.1.2.3", hostname="alpha")
    )
    report.start()
    waits: list[float] = []
    try:
        address = vsphere.wait_for_address(replica.ref, timeout=20, on_wait=waits.append)
    finally:
        report.join()
    assert address == "10.1.2.3"
    assert waits == sorted(waits)
    found = vsphere.vm(replica.ref)
    assert (found.guest_address, found.guest_hostname) == ("10.1.2.3", "alpha")


def test_a_guest_that_stays_silent(vsphere: VSphere, replica: VirtualMachine) -> None:
    vsphere.power_on(replica.ref)
    before = live_filters(vsphere)
    with pytest.raises(ConnectionFailed, match="no address within 2 s") as caught:
        vsphere.wait_for_address(replica.ref, timeout=2, on_wait=ignore)
    assert "open-vm-tools" in caught.value.hint
    assert live_filters(vsphere) == before


def test_the_wait_can_be_given_up(vsphere: VSphere, replica: VirtualMachine) -> None:
    def stop(_elapsed: float) -> None:
        raise Interrupted("stopped", hint="run again")

    vsphere.power_on(replica.ref)
    with pytest.raises(Interrupted):
        vsphere.wait_for_address(replica.ref, timeout=60, on_wait=stop)


def test_a_session_that_expires_during_the_wait(site: Any, vsphere: VSphere, replica: VirtualMachine) -> None:
    def expire(elapsed: float) -> None:
        if len(seen) < 2:
            site.simulator.expire_sessions()
        elif len(seen) == 2:
            site.simulator.set_guest(replica.name, address="10.1.2.4")
        seen.append(elapsed)

    seen: list[float] = []
    vsphere.power_on(replica.ref)
    assert vsphere.wait_for_address(replica.ref, timeout=30, on_wait=expire) == "10.1.2.4"
    assert len(seen) >= 3


def test_a_vm_that_stops_ends_the_wait(site: Any, vsphere: VSphere, replica: VirtualMachine) -> None:
    with pytest.raises(Conflict, match="not running"):
        vsphere.wait_for_address(replica.ref, timeout=20, on_wait=ignore)
    vsphere.power_on(replica.ref)

    def pull_the_plug() -> None:
        with site.login() as other:
            other.power_off(replica.ref)

    plug = threading.Timer(0.5, pull_the_plug)
    plug.start()
    try:
        with pytest.raises(Conflict, match="not running"):
            vsphere.wait_for_address(replica.ref, timeout=20, on_wait=ignore)
    finally:
        plug.join()


def test_only_the_owner_removes_a_vm_and_twice_is_fine(
    site: Any, vsphere: VSphere, plan: ReplicaPlan, replica: VirtualMachine, appliance: VirtualMachine
) -> None:
    for ref, owner in (
        (replica.ref, plan.owner[:-1]),
        (replica.ref, "somebody"),
        (appliance.ref, plan.owner),
    ):
        with pytest.raises(Conflict, match="does not belong to this job"):
            vsphere.destroy_vm(ref, owner=owner)
    with pytest.raises(UsageError):
        vsphere.destroy_vm(replica.ref, owner="")
    vsphere.power_on(replica.ref)
    for _ in range(2):
        vsphere.destroy_vm(replica.ref, owner=plan.owner)
    with pytest.raises(NotFound):
        vsphere.find_vm(plan.name)
    assert not site.file(replica.disks[0].path).exists()


def test_a_host_that_is_away(site: Any, vsphere: VSphere, replica: VirtualMachine) -> None:
    site.simulator.fail("PowerOnVM_Task", fault="HostNotConnected", message="The host is not connected.")
    with pytest.raises(ConnectionFailed, match="lost contact with the ESXi host"):
        vsphere.power_on(replica.ref)


def whole_road(vsphere: VSphere, plan: ReplicaPlan) -> None:
    """Every call that changes something, as a job makes them."""
    appliance = vsphere.find_vm("dtesx-appliance")
    made = vsphere.create_replica(plan, beside=appliance.ref)
    disk = made.disks[0]
    vsphere.attach_disk(appliance.ref, disk)
    vsphere.detach_disk(appliance.ref, disk)
    vsphere.create_snapshot(made.ref, "one", "")
    vsphere.power_on(made.ref)
    vsphere.power_off(made.ref)
    vsphere.destroy_vm(made.ref, owner=plan.owner)


def test_the_documented_privileges_are_enough(
    site: Any, plan: ReplicaPlan, privileges: tuple[str, ...]
) -> None:
    manual = (Path(__file__).parents[3] / "docs/vsphere.md").read_text()
    assert [name for name in privileges if f"| {name} |" not in manual] == []
    with site.login("exact") as vsphere:
        whole_road(vsphere, plan)


@pytest.mark.parametrize(
    ("missing", "action"),
    [
        ("VirtualMachine.Inventory.Create", "create the replica"),
        ("VirtualMachine.Config.AddNewDisk", "create the replica"),
        ("Datastore.AllocateSpace", "create the replica"),
        ("Network.Assign", "create the replica"),
        ("Resource.AssignVMToPool", "create the replica"),
        ("VirtualMachine.Config.AddExistingDisk", "attach the disk"),
        ("VirtualMachine.Config.RemoveDisk", "detach the disk"),
        ("VirtualMachine.State.CreateSnapshot", "take the snapshot one"),
        ("VirtualMachine.Interact.PowerOn", "power on the VM"),
        ("VirtualMachine.Interact.PowerOff", "power off the VM"),
        ("VirtualMachine.Inventory.Delete", "remove the VM"),
    ],
)
def test_a_missing_privilege_is_named_with_its_object(
    site: Any, vsphere: VSphere, plan: ReplicaPlan, missing: str, action: str
) -> None:
    try:
        with (
            site.login(f"without-{missing}") as limited,
            pytest.raises(Refused, match=f"could not {action}.* lacks the privilege {missing} on ") as caught,
        ):
            whole_road(limited, plan)
    finally:
        clean(vsphere, plan)
    assert not caught.value.message.endswith(" on ")
    assert "docs/vsphere.md" in caught.value.hint


def clean(vsphere: VSphere, plan: ReplicaPlan) -> None:
    try:
        left = vsphere.find_vm(plan.name)
    except NotFound:
        return
    for disk in left.disks:
        vsphere.detach_disk(vsphere.find_vm("dtesx-appliance").ref, disk)
    vsphere.destroy_vm(left.ref, owner=plan.owner)
