from __future__ import annotations

from typing import Any

import pytest

from dtesx.base.errors import NotFound
from dtesx.model.vmware import VirtualMachine
from dtesx.vsphere.client import VSphere

pytestmark = pytest.mark.integration


def test_datastores_with_their_sizes(site: Any, vsphere: VSphere) -> None:
    (store,) = vsphere.datastores()
    assert store.name == "datastore1"
    assert 0 < store.free_bytes <= store.capacity_bytes
    site.simulator.limit_datastore("datastore1", 5 << 30)
    try:
        assert vsphere.datastores()[0].free_bytes == 5 << 30
    finally:
        site.simulator.limit_datastore("datastore1", None)


def test_networks_of_both_kinds(vsphere: VSphere) -> None:
    found = {item.name: item.distributed for item in vsphere.networks()}
    assert found["VM Network"] is False
    assert found["Recovery Network"] is True


def test_a_vm_by_name_uuid_and_id(vsphere: VSphere, appliance: VirtualMachine) -> None:
    assert appliance.powered_on
    assert len(appliance.disks) == 1
    assert appliance.nics[0].network == "VM Network"
    assert vsphere.vm(appliance.ref) == appliance
    assert vsphere.vm_by_uuid(appliance.uuid) == appliance


def test_a_vm_by_the_uuid_as_its_guest_sees_it(vsphere: VSphere, appliance: VirtualMachine) -> None:
    # 42010203-0405-0607-... with the first three fields byte by byte the other way round.
    assert vsphere.vm_by_uuid("03020142-0504-0706-0809-0a0b0c0d0e0f") == appliance


def test_what_does_not_exist_is_told_with_what_does(vsphere: VSphere) -> None:
    with pytest.raises(NotFound, match="dtesx-appliance"):
        vsphere.find_vm("dtesx-aplliance")
    with pytest.raises(NotFound, match="UUID"):
        vsphere.vm_by_uuid("00000000-0000-0000-0000-000000000001")
    with pytest.raises(NotFound, match="vm-99999 does not exist"):
        vsphere.vm("vm-99999")
