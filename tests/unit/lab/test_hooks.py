import json
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.lab.hooks import dispatch
from dtesx.lab.machine import AttachedDisk, NetworkCard, ReplicaHardware

DISK = {"file": "/ds/a-flat.vmdk", "uuid": "6000C29a-1", "size": 5, "controller": 0, "unit": 2}


class FakeSite:
    def __init__(self) -> None:
        self.calls: list[object] = []

    def attach(self, vm: str, disk: AttachedDisk) -> None:
        self.calls.append(("attach", vm, disk))

    def detach(self, vm: str, disk: AttachedDisk) -> None:
        raise Conflict("the disk is in use", hint="unmount it")

    def power_on(self, hardware: ReplicaHardware) -> None:
        self.calls.append(hardware)

    def power_off(self, vm: str) -> None:
        raise RuntimeError("boom")


def send(site: FakeSite, **request: object) -> dict[str, object]:
    return dispatch(json.dumps(request).encode(), site)


def test_attach_reaches_the_site_with_the_disk() -> None:
    site = FakeSite()
    assert send(site, call="attach", vm="appliance", disk=DISK) == {"ok": True}
    assert site.calls == [
        ("attach", "appliance", AttachedDisk(Path("/ds/a-flat.vmdk"), "6000C29a-1", 5, 0, 2))
    ]


def test_power_on_carries_the_whole_hardware() -> None:
    site = FakeSite()
    request = {"vm": "r", "uuid": "u", "firmware": "efi", "cpus": 3, "memory_mib": 512}
    nics = [{"mac": "00:50:56:00:00:01", "network": "VM Network"}]
    assert send(site, call="power_on", **request, disks=[DISK], nics=nics) == {"ok": True}
    disk = AttachedDisk(Path("/ds/a-flat.vmdk"), "6000C29a-1", 5, 0, 2)
    card = NetworkCard("00:50:56:00:00:01", "VM Network")
    assert site.calls == [ReplicaHardware("r", "u", 3, 512, (disk,), (card,), "efi")]


def test_what_the_site_refuses_is_told_with_its_hint() -> None:
    assert send(FakeSite(), call="detach", vm="appliance", disk=DISK) == {
        "error": "the disk is in use (unmount it)"
    }


def test_a_defect_of_the_lab_is_an_error_too() -> None:
    assert send(FakeSite(), call="power_off", vm="r") == {"error": "the lab failed: boom"}


def test_calls_that_make_no_sense_are_refused() -> None:
    for request in (
        {"call": "attach", "vm": "appliance"},
        {"call": "dance", "vm": "appliance"},
        {"vm": "x"},
        {"call": "attach", "vm": "a", "disk": DISK | {"file": 7}},
    ):
        assert "does not understand" in str(send(FakeSite(), **request)["error"])
    assert "does not understand" in str(dispatch(b"not json", FakeSite())["error"])
