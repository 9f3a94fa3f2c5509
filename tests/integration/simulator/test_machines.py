from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from dtesx.base.errors import CommandFailed, Conflict, ConnectionFailed
from dtesx.base.run import run
from dtesx.lab.simulator import Simulator, SimulatorUser
from tests.integration.simulator.conftest import ADMIN, APPLIANCE_UUID, LIMITED, configuration
from tests.integration.simulator.vsphere import HookServer, Site, disks, session, wait

pytestmark = pytest.mark.integration


def test_the_inventory(site: Site) -> None:
    appliance = site.appliance
    assert appliance.config.uuid == APPLIANCE_UUID
    assert appliance.runtime.powerState == "poweredOn"
    assert [d.name for d in appliance.datastore] == ["datastore1"]
    view = site.content.viewManager.CreateContainerView(site.content.rootFolder, [vim.Network], True)
    assert {"VM Network", "Recovery Network"} <= {network.name for network in view.view}
    found = site.content.searchIndex.FindByUuid(None, APPLIANCE_UUID, True)
    assert found == appliance


def test_names_are_unique(site: Site) -> None:
    site.create("alpha-replica")
    with pytest.raises(vim.fault.DuplicateName) as caught:
        site.create("alpha-replica")
    assert caught.value.msg == "The name 'alpha-replica' already exists."
    beta = site.create("beta-replica")
    with pytest.raises(vim.fault.DuplicateName):
        site.reconfigure(beta, name="alpha-replica")


def test_unknown_datastore(site: Site) -> None:
    spec = site.vm_spec("alpha-replica")
    spec.files.vmPathName = "[nowhere]"
    with pytest.raises(vim.fault.InvalidDatastorePath):
        wait(site.appliance.parent.CreateVM_Task(spec, pool=site.appliance.resourcePool))


def test_power_and_guest(site: Site) -> None:
    vm = site.create("alpha-replica")
    wait(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.InvalidPowerState):
        wait(vm.PowerOnVM_Task())
    assert not vm.guest.ipAddress
    site.simulator.set_guest("alpha-replica", address="192.0.2.7", hostname="alpha")
    assert (vm.guest.ipAddress, vm.guest.hostName) == ("192.0.2.7", "alpha")
    assert vm.guest.toolsRunningStatus == "guestToolsRunning"
    assert vm.guest.net[0].ipAddress == ["192.0.2.7"]
    assert vm.summary.guest.ipAddress == "192.0.2.7"
    with pytest.raises(vim.fault.InvalidPowerState):
        wait(vm.Destroy_Task())
    wait(vm.PowerOffVM_Task())
    assert vm.guest.ipAddress is None
    assert vm.guest.toolsRunningStatus == "guestToolsNotRunning"
    with pytest.raises(vim.fault.InvalidPowerState):
        wait(vm.PowerOffVM_Task())
    with pytest.raises(Conflict):
        site.simulator.set_guest("nobody", address="192.0.2.7")


def test_extra_config_is_replaced_and_deleted(site: Site) -> None:
    def options(vm: Any) -> dict[str, str]:
        return {o.key: o.value for o in vm.config.extraConfig}

    vm = site.create("alpha-replica")
    for value in ("one", "two"):
        site.reconfigure(vm, extraConfig=[vim.option.OptionValue(key="guestinfo.x", value=value)])
        assert [o.value for o in vm.config.extraConfig if o.key == "guestinfo.x"] == [value]
    site.reconfigure(vm, extraConfig=[vim.option.OptionValue(key="guestinfo.x", value="")])
    assert "guestinfo.x" not in options(vm)


def test_hooks_are_told_before_the_api_answers(hooked_site: Site, hooks: HookServer) -> None:
    site = hooked_site
    assert hooks.calls == [], "the appliance is the lab's own business"
    vm = site.create("alpha-replica")
    path, uuid = disks(vm)[0].backing.fileName, disks(vm)[0].backing.uuid
    assert hooks.calls == []
    site.attach(site.appliance, path, unit=5)
    disk = {"file": str(site.data(path)), "uuid": uuid, "size": 1 << 30, "controller": 0, "unit": 5}
    assert hooks.calls == [{"call": "attach", "vm": "appliance", "disk": disk}]
    site.detach(site.appliance, path)
    assert hooks.calls[1:] == [{"call": "detach", "vm": "appliance", "disk": disk}]
    wait(vm.PowerOnVM_Task())
    start = hooks.calls[2]
    card = next(d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard))
    assert start.pop("disks") == [disk | {"unit": 0}]
    assert start.pop("nics") == [{"mac": card.macAddress, "network": "VM Network"}]
    assert start == {
        "call": "power_on", "vm": "alpha-replica", "uuid": vm.config.uuid, "firmware": "bios",
        "cpus": 2, "memory_mib": 512,
    }  # fmt: skip
    wait(vm.PowerOffVM_Task())
    assert hooks.calls[3:] == [{"call": "power_off", "vm": "alpha-replica"}]


def test_a_refusing_hook_changes_nothing(hooked_site: Site, hooks: HookServer) -> None:
    site = hooked_site
    vm = site.create("alpha-replica")
    path = disks(vm)[0].backing.fileName
    hooks.refusal = "no loop device is free"
    with pytest.raises(vim.fault.GenericVmConfigFault) as caught:
        site.attach(site.appliance, path, unit=5)
    assert caught.value.msg == "no loop device is free"
    assert len(disks(site.appliance)) == 1
    with pytest.raises(vim.fault.GenericVmConfigFault):
        wait(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == "poweredOff"
    hooks.refusal = ""
    site.attach(site.appliance, path, unit=5)
    hooks.close()
    with pytest.raises(vim.fault.GenericVmConfigFault, match="did not detach appliance"):
        site.detach(site.appliance, path)
    assert len(disks(site.appliance)) == 2


def test_planned_faults(site: Site) -> None:
    vm = site.create("alpha-replica")
    site.simulator.fail(
        "PowerOnVM_Task", fault="InsufficientResourcesFault", message="out of memory", count=2
    )
    for _ in range(2):
        with pytest.raises(vim.fault.InsufficientResourcesFault) as caught:
            wait(vm.PowerOnVM_Task())
        assert caught.value.msg == "out of memory"
    wait(vm.PowerOnVM_Task())
    site.simulator.fail("FindByUuid", fault="HostConnectFault", message="gone")
    with pytest.raises(vim.fault.HostConnectFault):
        site.content.searchIndex.FindByUuid(None, APPLIANCE_UUID, True)
    for wrong in ({"method": "Nothing_Task", "fault": "FileLocked"}, {"method": "Login", "fault": "Login"}):
        with pytest.raises(Conflict):
            site.simulator.fail(wrong["method"], fault=wrong["fault"], message="")


def test_sessions_expire(site: Site) -> None:
    assert site.simulator.expire_sessions() == 1
    with pytest.raises(vim.fault.NotAuthenticated) as caught:
        _ = site.appliance.name
    assert caught.value.msg == "The session is not authenticated."
    with pytest.raises(vim.fault.NotAuthenticated):
        site.appliance.PowerOffVM_Task()
    with session(site.simulator, ADMIN) as content:
        assert content.sessionManager.currentSession.userName == ADMIN.name


@pytest.mark.parametrize(
    "user", [SimulatorUser(ADMIN.name, "wrong"), SimulatorUser("", ""), SimulatorUser("x", "x")]
)
def test_wrong_credentials(site: Site, user: SimulatorUser) -> None:
    with (
        pytest.raises(vim.fault.InvalidLogin, match="incorrect user name or password"),
        session(site.simulator, user),
    ):
        pass


def test_a_limited_role(site: Site) -> None:
    vm = site.create("alpha-replica")
    with session(site.simulator, LIMITED) as content:
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        mine = next(item for item in view.view if item.name == "alpha-replica")
        wait(mine.PowerOnVM_Task())
        for refused, privilege in (
            (mine.PowerOffVM_Task, "VirtualMachine.Interact.PowerOff"),
            (mine.Destroy_Task, "VirtualMachine.Inventory.Delete"),
            (lambda: mine.CreateSnapshot_Task("s", "", False, False), "VirtualMachine.State.CreateSnapshot"),
            (lambda: site_create(site, mine), "VirtualMachine.Inventory.Create"),
        ):
            with pytest.raises(vim.fault.NoPermission) as caught:
                refused()
            assert caught.value.privilegeId == privilege
            assert "Permission to perform this operation was denied" in caught.value.msg
        granted = content.authorizationManager.HasPrivilegeOnEntities(
            [mine], content.sessionManager.currentSession.key,
            ["VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff"],
        )  # fmt: skip
        assert [p.isGranted for p in granted[0].privAvailability] == [True, False]
    assert vm.runtime.powerState == "poweredOn"


def site_create(site: Site, mine: Any) -> None:
    mine.parent.CreateVM_Task(site.vm_spec("beta-replica"), pool=mine.resourcePool)


def test_vanished_objects(site: Site) -> None:
    vm = site.create("alpha-replica")
    wait(vm.Destroy_Task())
    for use in (vm.PowerOnVM_Task, lambda: vm.name):
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            use()


def test_a_port_in_use_is_said(site: Site, binary: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    config = configuration(other)
    taken = dataclasses.replace(config, port=site.simulator.config.port)
    second = Simulator(binary, taken, other)
    with pytest.raises(CommandFailed, match="address already in use"):
        second.start()
    with pytest.raises(ConnectionFailed):
        second.expire_sessions()
    assert second.pid == 0
    assert not list(other.glob("simulator-*.json"))


def test_the_lab_may_use_the_control_socket_from_inside_a_hook(hooked_site: Site, hooks: HookServer) -> None:
    site = hooked_site
    vm = site.create("alpha-replica")
    seen: list[str] = []

    def boot(_: dict[str, Any]) -> None:
        site.simulator.set_guest("alpha-replica", address="192.0.2.9")
        seen.append(vm.runtime.powerState)  # reads go on while a task works

    hooks.during = boot
    wait(vm.PowerOnVM_Task())
    assert seen == ["poweredOff"]
    assert vm.guest.ipAddress == "192.0.2.9"


def test_files_of_running_machines_are_not_deleted(site: Site) -> None:
    vm = site.create("alpha-replica")
    path = disks(vm)[0].backing.fileName
    manager, datacenter = site.content.fileManager, site.content.rootFolder.childEntity[0]
    site.attach(site.appliance, path, unit=1)
    for name in (path, "[datastore1] alpha-replica"):
        with pytest.raises(vim.fault.FileLocked):
            wait(manager.DeleteDatastoreFile_Task(name, datacenter))
    site.detach(site.appliance, path)
    site.detach(vm, path)
    wait(manager.DeleteDatastoreFile_Task(path, datacenter))
    assert not site.host_path(path).exists()


def test_what_would_bypass_the_locks_is_refused(site: Site) -> None:
    path = disks(site.appliance)[0].backing.fileName
    manager, datacenter = site.content.virtualDiskManager, site.content.rootFolder.childEntity[0]
    with pytest.raises(vim.fault.FileLocked):
        wait(manager.MoveVirtualDisk_Task(path, datacenter, "[datastore1] x.vmdk", datacenter, False))
    with pytest.raises(vmodl.fault.NotSupported):
        wait(site.appliance.SuspendVM_Task())
    assert site.data(path).exists()


def test_in_a_network_namespace(binary: Path, tmp_path: Path) -> None:
    name = f"simtest{os.getpid()}"
    run(["ip", "netns", "add", name])
    try:
        config = dataclasses.replace(configuration(tmp_path), netns=name)
        with Simulator(binary, config, tmp_path) as simulator:
            assert simulator.ready()
            inside = run(["ip", "netns", "exec", name, "ss", "-Hltn"]).text
            assert f"127.0.0.1:{config.port}" in inside
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((config.address, config.port), 1)
            pid = simulator.pid
        assert not Path(f"/proc/{pid}").exists()
        assert not config.control.exists()
    finally:
        run(["ip", "netns", "delete", name])
