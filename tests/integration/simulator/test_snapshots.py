from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from tests.integration.simulator.vsphere import GIB_KB, HookServer, Site, disks, read, wait, write

pytestmark = pytest.mark.integration

BASE = "[datastore1] alpha-replica/alpha-replica.vmdk"
DELTA1 = "[datastore1] alpha-replica/alpha-replica-000001.vmdk"
DELTA2 = "[datastore1] alpha-replica/alpha-replica-000002.vmdk"


def snapshot(vm: Any, name: str) -> Any:
    return wait(vm.CreateSnapshot_Task(name, f"{name}, described", False, False))


def top(vm: Any) -> Any:
    return disks(vm)[0].backing


def content(site: Site, path: str) -> bytes:
    return read(site.data(path), 5)


def files(site: Site) -> list[str]:
    return sorted(file.name for file in (site.datastore / "alpha-replica").glob("*.vmdk"))


@pytest.fixture
def vm(site: Site) -> Any:
    machine = site.create("alpha-replica")
    write(site.data(BASE), b"zero.")
    return machine


def test_a_snapshot_puts_every_disk_on_a_delta(site: Site) -> None:
    vm = site.create("alpha-replica", sizes=(GIB_KB, GIB_KB))
    write(site.data(BASE), b"zero.")
    identity = [d.backing.uuid for d in disks(vm)]
    taken = snapshot(vm, "one")
    assert [d.backing.fileName for d in disks(vm)] == [
        DELTA1, "[datastore1] alpha-replica/alpha-replica_1-000001.vmdk",
    ]  # fmt: skip
    assert top(vm).parent.fileName == BASE
    assert [d.backing.uuid for d in disks(vm)] == identity, "the guest must not see another disk"
    assert content(site, DELTA1) == b"zero."
    assert site.data(DELTA1).stat().st_blocks * 512 < 1 << 20, "holes are kept"
    write(site.data(DELTA1), b"one..")
    assert content(site, BASE) == b"zero."
    tree = vm.snapshot.rootSnapshotList[0]
    assert (tree.name, tree.description, tree.state) == ("one", "one, described", "poweredOff")
    assert vm.snapshot.currentSnapshot == tree.snapshot == taken
    assert disks(taken)[0].backing.fileName == BASE


def test_the_top_of_the_chain_can_be_attached_elsewhere(site: Site, vm: Any) -> None:
    snapshot(vm, "one")
    seen = site.attach(site.appliance, DELTA1, unit=1)
    assert seen.backing.parent.fileName == BASE
    assert seen.backing.uuid == top(vm).uuid
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        site.attach(site.appliance, BASE, unit=2)
    site.detach(site.appliance, DELTA1)
    snapshot(vm, "two")
    assert top(vm).fileName == DELTA2
    assert [t.name for t in vm.snapshot.rootSnapshotList[0].childSnapshotList] == ["two"]


def test_revert_drops_what_was_written_since(site: Site, vm: Any) -> None:
    one = snapshot(vm, "one")
    write(site.data(DELTA1), b"one..")
    two = snapshot(vm, "two")
    write(site.data(DELTA2), b"two..")
    wait(one.RevertToSnapshot_Task())
    assert top(vm).parent.fileName == BASE
    assert content(site, top(vm).fileName) == b"zero."
    assert vm.snapshot.currentSnapshot == one
    assert DELTA2.split("/")[1] not in files(site)
    wait(two.RevertToSnapshot_Task())
    assert top(vm).parent.fileName == DELTA1
    assert content(site, top(vm).fileName) == b"one.."
    assert vm.snapshot.currentSnapshot == two


def test_removing_the_root_after_a_revert_while_a_child_exists(site: Site, vm: Any) -> None:
    one = snapshot(vm, "one")
    write(site.data(DELTA1), b"one..")
    two = snapshot(vm, "two")
    wait(one.RevertToSnapshot_Task())
    write(site.data(top(vm).fileName), b"after")
    wait(one.RemoveSnapshot_Task(False))
    assert [t.snapshot for t in vm.snapshot.rootSnapshotList] == [two]
    assert vm.snapshot.currentSnapshot is None
    assert content(site, top(vm).fileName) == b"after"
    assert content(site, DELTA1) == b"one.."
    wait(two.RemoveSnapshot_Task(False))
    assert vm.snapshot is None
    assert top(vm).fileName == BASE
    assert content(site, BASE) == b"after"
    assert files(site) == ["alpha-replica-flat.vmdk", "alpha-replica.vmdk"]


def test_removing_the_oldest_merges_it_into_its_child(site: Site, vm: Any) -> None:
    one = snapshot(vm, "one")
    write(site.data(DELTA1), b"one..")
    two = snapshot(vm, "two")
    write(site.data(DELTA2), b"two..")
    wait(one.RemoveSnapshot_Task(False))
    assert vm.snapshot.currentSnapshot == two
    assert top(vm).fileName == DELTA2
    assert top(vm).parent.fileName == BASE
    assert top(vm).parent.parent is None
    assert content(site, BASE) == b"one.."
    assert content(site, DELTA2) == b"two.."
    wait(two.RevertToSnapshot_Task())
    assert content(site, top(vm).fileName) == b"one.."


@pytest.mark.parametrize("all_at_once", [True, False])
def test_removing_all_leaves_the_newest_content_under_the_first_name(
    site: Site, vm: Any, all_at_once: bool
) -> None:
    one = snapshot(vm, "one")
    write(site.data(DELTA1), b"one..")
    snapshot(vm, "two")
    write(site.data(DELTA2), b"two..")
    wait(vm.RemoveAllSnapshots_Task() if all_at_once else one.RemoveSnapshot_Task(True))
    assert vm.snapshot is None
    assert vm.rootSnapshot == []
    assert top(vm).fileName == BASE
    assert top(vm).parent is None
    assert content(site, BASE) == b"two.."
    assert files(site) == ["alpha-replica-flat.vmdk", "alpha-replica.vmdk"]
    site.attach(site.appliance, BASE, unit=1)


def test_a_locked_disk_leaves_the_merge_for_later(site: Site, vm: Any) -> None:
    one = snapshot(vm, "one")
    write(site.data(DELTA1), b"one..")
    site.attach(site.appliance, DELTA1, unit=1)
    with pytest.raises(vim.fault.FileLocked):
        wait(one.RemoveSnapshot_Task(False))
    assert vm.snapshot is None
    assert vm.runtime.consolidationNeeded
    assert top(vm).fileName == DELTA1
    site.detach(site.appliance, DELTA1)
    wait(vm.ConsolidateVMDisks_Task())
    assert not vm.runtime.consolidationNeeded
    assert top(vm).fileName == BASE
    assert content(site, BASE) == b"one.."


def test_destroying_a_vm_takes_its_whole_chains(site: Site, vm: Any) -> None:
    snapshot(vm, "one")
    snapshot(vm, "two")
    wait(vm.Destroy_Task())
    assert not (site.datastore / "alpha-replica").exists()


def test_power_on_uses_the_reverted_disks(hooked_site: Site, hooks: HookServer) -> None:
    vm = hooked_site.create("alpha-replica")
    one = snapshot(vm, "one")
    wait(one.RevertToSnapshot_Task())
    wait(vm.PowerOnVM_Task())
    assert hooks.calls[-1]["disks"][0]["file"] == str(hooked_site.data(top(vm).fileName))
    with pytest.raises(vim.fault.SnapshotFault):
        snapshot(vm, "two")
    wait(one.RevertToSnapshot_Task())
    assert hooks.names()[-1] == "power_off"
    assert vm.runtime.powerState == "poweredOff"
