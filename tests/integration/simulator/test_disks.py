from __future__ import annotations

import os

import pytest
from pyVmomi import vim

from tests.integration.simulator.vsphere import GIB_KB, Site, change, disk_device, disks, nic_device, wait

pytestmark = pytest.mark.integration


def test_created_disks_are_sparse_files_of_their_size(site: Site) -> None:
    vm = site.create("alpha-replica", sizes=(GIB_KB, 2 * GIB_KB))
    first, second = disks(vm)
    assert first.backing.fileName == "[datastore1] alpha-replica/alpha-replica.vmdk"
    assert second.backing.fileName == "[datastore1] alpha-replica/alpha-replica_1.vmdk"
    for device, size in ((first, 1 << 30), (second, 2 << 30)):
        data = site.data(device.backing.fileName).stat()
        assert data.st_size == device.capacityInBytes == size
        assert data.st_blocks == 0
        assert device.backing.uuid.startswith("6000C29")
        assert device.backing.thinProvisioned
    assert first.backing.uuid != second.backing.uuid
    descriptor = site.host_path(first.backing.fileName).read_text()
    assert "ddb.uuid" in descriptor
    assert f'RW {(1 << 30) // 512} VMFS "alpha-replica-flat.vmdk"' in descriptor


def test_removed_disk_keeps_its_file_and_its_identity(site: Site) -> None:
    vm = site.create("alpha-replica")
    before = disks(vm)[0]
    path = before.backing.fileName
    site.detach(vm, path)
    assert disks(vm) == []
    assert site.data(path).exists()
    seen = site.attach(site.appliance, path, unit=3)
    assert seen.backing.uuid == before.backing.uuid
    assert seen.capacityInBytes == 1 << 30
    assert seen.key != before.key
    answer = site.content.virtualDiskManager.QueryVirtualDiskUuid(
        path, site.content.rootFolder.childEntity[0]
    )
    assert answer.replace(" ", "").replace("-", "").lower() == before.backing.uuid.replace("-", "").lower()


def test_destroyed_with_the_device_or_with_the_vm(site: Site) -> None:
    vm = site.create("alpha-replica", sizes=(GIB_KB, GIB_KB))
    first, second = (d.backing.fileName for d in disks(vm))
    site.detach(vm, second, destroy=True)
    assert not site.data(second).exists()
    assert not site.host_path(second).exists()
    wait(vm.Destroy_Task())
    assert not site.data(first).exists()
    assert not (site.datastore / "alpha-replica").exists()


def test_destroy_leaves_what_is_not_the_vms(site: Site) -> None:
    vm = site.create("alpha-replica", sizes=(GIB_KB, GIB_KB))
    kept = disks(vm)[1].backing.fileName
    site.detach(vm, kept)
    wait(vm.Destroy_Task())
    assert site.data(kept).exists()
    site.attach(site.appliance, kept, unit=1)


def test_attach_of_a_missing_file(site: Site) -> None:
    with pytest.raises(vim.fault.FileNotFound) as caught:
        site.attach(site.appliance, "[datastore1] nowhere/x.vmdk", unit=1)
    assert "nowhere/x.vmdk was not found" in caught.value.msg
    assert len(disks(site.appliance)) == 1


@pytest.mark.parametrize("unit", [0, 7, 64])
def test_units_that_are_taken_or_reserved(site: Site, unit: int) -> None:
    device = disk_device("[datastore1]", controller=1000, unit=unit)
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        site.reconfigure(site.appliance, change("add", device, "create"))
    assert len(list((site.datastore / "appliance").glob("*.vmdk"))) == 2


def test_a_disk_needs_a_controller(site: Site) -> None:
    with pytest.raises(vim.fault.MissingController):
        site.reconfigure(
            site.appliance, change("add", disk_device("[datastore1]", controller=1003, unit=1), "create")
        )


def test_existing_path_is_not_overwritten(site: Site) -> None:
    path = disks(site.appliance)[0].backing.fileName
    with pytest.raises(vim.fault.FileAlreadyExists):
        site.reconfigure(site.appliance, change("add", disk_device(path, controller=1000, unit=1), "create"))


def test_a_failed_create_leaves_nothing(site: Site) -> None:
    good = change("add", disk_device("[datastore1]", controller=1000, unit=1), "create")
    bad = change("add", disk_device("[datastore1] nowhere/x.vmdk", controller=1000, unit=2), "create")
    before = sorted(os.listdir(site.datastore / "appliance"))
    with pytest.raises(vim.fault.FileNotFound):
        site.reconfigure(site.appliance, good, bad)
    assert sorted(os.listdir(site.datastore / "appliance")) == before
    assert len(disks(site.appliance)) == 1


def test_running_machines_lock_their_disks(site: Site) -> None:
    vm = site.create("alpha-replica")
    path = disks(vm)[0].backing.fileName
    site.attach(site.appliance, path, unit=1)
    for attempt in (
        vm.PowerOnVM_Task,
        vm.Destroy_Task,
        lambda: vm.CreateSnapshot_Task("s", "", False, False),
    ):
        with pytest.raises(vim.fault.FileLocked) as caught:
            wait(attempt())
        assert caught.value.file == path
        assert "it is locked" in caught.value.msg
    other = site.create("beta-replica")
    with pytest.raises(vim.fault.FileLocked):
        site.attach(other, path, unit=1)
    with pytest.raises(vim.fault.FileLocked):
        site.detach(vm, path, destroy=True)
    site.detach(site.appliance, path)
    wait(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.FileLocked):
        site.attach(site.appliance, path, unit=1)


def test_growing_a_disk(site: Site) -> None:
    vm = site.create("alpha-replica")
    device = disks(vm)[0]
    device.capacityInKB = device.capacityInBytes = 0
    device.capacityInKB = 3 * GIB_KB
    site.reconfigure(vm, change("edit", device))
    assert disks(vm)[0].capacityInBytes == 3 << 30
    assert site.data(device.backing.fileName).stat().st_size == 3 << 30
    device.capacityInKB = device.capacityInBytes = 0
    device.capacityInKB = GIB_KB
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        site.reconfigure(vm, change("edit", device))


def test_full_datastore(site: Site) -> None:
    datastore = site.appliance.datastore[0]
    real = datastore.summary.freeSpace
    stat = os.statvfs(site.datastore)
    assert abs(real - stat.f_bavail * stat.f_frsize) < 1 << 30
    site.simulator.limit_datastore("datastore1", 4096)
    assert datastore.summary.freeSpace == 4096
    with pytest.raises(vim.fault.NoDiskSpace) as caught:
        site.create("alpha-replica")
    assert caught.value.msg == "Insufficient disk space on datastore 'datastore1'."
    assert not (site.datastore / "alpha-replica").exists()
    site.simulator.limit_datastore("datastore1", 2 << 30)
    vm = site.create("alpha-replica")
    thick = disk_device("[datastore1]", controller=1000, unit=1, kb=3 * GIB_KB, thin=False)
    with pytest.raises(vim.fault.NoDiskSpace):
        site.reconfigure(vm, change("add", thick, "create"))
    site.simulator.limit_datastore("datastore1", 4096)
    with pytest.raises(vim.fault.NoDiskSpace):
        wait(vm.CreateSnapshot_Task("s", "", False, False))
    assert len(disks(vm)) == 1
    assert vm.snapshot is None
    site.simulator.limit_datastore("datastore1", None)
    assert datastore.summary.freeSpace > 4096


def test_network_cards(site: Site) -> None:
    vm = site.create("alpha-replica")
    site.reconfigure(vm, change("add", nic_device("VM Network")))
    cards = [d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    assert len({card.macAddress for card in cards}) == 2
    assert all(str(card.macAddress).startswith("00:50:56:") for card in cards)
    site.reconfigure(vm, change("remove", vim.vm.device.VirtualVmxnet3(key=cards[1].key)))
    left = [d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    assert [card.macAddress for card in left] == [cards[0].macAddress]
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        site.create("beta-replica", network="Nowhere")
    assert not (site.datastore / "beta-replica").exists()
