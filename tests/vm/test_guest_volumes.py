"""Volume groups, EFI system partitions and subvolumes, made and held by a kernel that has all of them.

What runs in the guest is in ``tests.vm.holding``; here disks come and go, and processes are killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from dtesx.lab.guest_appliance import GuestAppliance
from dtesx.lab.machine import AttachedDisk
from dtesx.model.inventory import Firmware
from dtesx.model.layout import (
    MIB,
    DiskLayout,
    Layout,
    LogicalVolume,
    Partition,
    PartitionRole,
    Subvolume,
    VolumeGroup,
)
from tests.vm.conftest import NewDisk

pytestmark = pytest.mark.vm

EXTENT = 4 * MIB


def server(number: int) -> Layout:
    """A server that was installed as all the others: UEFI, /boot, the group rhel over two disks, btrfs."""

    def uuid(last: int) -> str:
        return f"0e7f3b1c-0000-4000-8000-0000000{number:02}4{last:02}"

    def file_system(part: int, start: int, size: int, kind: str, mount: str) -> Partition:
        return Partition(
            part, PartitionRole.FILE_SYSTEM, start * MIB, size * MIB, kind, uuid(part), "", mount
        )

    esp = Partition(
        *(1, PartitionRole.EFI_SYSTEM, MIB, 66 * MIB, "vfat", f"AB{number:02}-0001", "EFI", "/boot/efi"),
        options=("fmask=0077", "dmask=0077"),
    )
    boot = file_system(2, 67, 32, "ext4", "/boot")
    members = (
        Partition(3, PartitionRole.PHYSICAL_VOLUME, 99 * MIB, 61 * MIB, group="rhel"),
        Partition(1, PartitionRole.PHYSICAL_VOLUME, MIB, 361 * MIB, group="rhel"),
    )
    srv = Partition(
        *(2, PartitionRole.FILE_SYSTEM, 362 * MIB, 120 * MIB, "btrfs", uuid(7), "", "/srv"),
        subvolumes=(Subvolume("@srv", "/srv", default=True), Subvolume("@srv/a", "/srv/a", mounted=False)),
    )
    volumes = (
        LogicalVolume("root", PartitionRole.FILE_SYSTEM, 80 * MIB, "ext4", uuid(4), "", "/"),
        LogicalVolume("data-1", PartitionRole.FILE_SYSTEM, 320 * MIB, "xfs", uuid(5), "data", "/data"),
        LogicalVolume("swap", PartitionRole.SWAP, 20 * MIB, "swap", uuid(6)),
    )
    return Layout(
        Firmware.UEFI,
        (DiskLayout(0, 161 * MIB, (esp, boot, members[0])), DiskLayout(1, 483 * MIB, (members[1], srv))),
        (VolumeGroup("rhel", EXTENT, 420 * MIB, volumes),),
    )


def small() -> Layout:
    """A group over two disks, and as little in it as can be in pieces."""
    disks = tuple(
        DiskLayout(
            index, 24 * MIB, (Partition(1, PartitionRole.PHYSICAL_VOLUME, MIB, 21 * MIB, group="rhel"),)
        )
        for index in range(2)
    )
    uuid = "0e7f3b1c-0000-4000-8000-00000000050"
    volumes = (
        LogicalVolume("root", PartitionRole.FILE_SYSTEM, 12 * MIB, "ext4", f"{uuid}1", "", "/"),
        LogicalVolume("srv", PartitionRole.FILE_SYSTEM, 28 * MIB, "ext4", f"{uuid}2", "", "/srv"),
    )
    return Layout(Firmware.BIOS, disks, (VolumeGroup("rhel", EXTENT, 40 * MIB, volumes),))


class Held:
    """A replica whose disks the guest has."""

    def __init__(self, guest: GuestAppliance, new_disk: NewDisk, layout: Layout, name: str) -> None:
        self.guest = guest
        self.layout = layout
        self.disks: list[AttachedDisk] = [
            new_disk(disk.size_bytes // MIB, controller=disk.index) for disk in layout.disks
        ]
        self.where = f"/run/{name}"

    def attach(self) -> None:
        for disk in self.disks:
            self.guest.attach(disk)

    def detach(self) -> None:
        """Fails when anything in the guest still uses them."""
        for disk in self.disks:
            self.guest.detach(disk)

    def do(self, what: str, *more: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a function of tests.vm.holding in the guest on these disks."""
        argv = [
            *("python3", "-m", "tests.vm.holding", what, msgspec.json.encode(self.layout).decode()),
            *(self.where, ",".join(disk.uuid for disk in self.disks), *more),
        ]
        return self.guest.run(argv, timeout=300, ok=ok).text


@pytest.fixture
def first(guest: GuestAppliance, new_disk: NewDisk) -> Iterator[Held]:
    yield from _held(guest, new_disk, server(1), "first")


@pytest.fixture
def second(guest: GuestAppliance, new_disk: NewDisk) -> Iterator[Held]:
    yield from _held(guest, new_disk, server(2), "second")


@pytest.fixture
def little(guest: GuestAppliance, new_disk: NewDisk) -> Iterator[Held]:
    yield from _held(guest, new_disk, small(), "little")


def _held(guest: GuestAppliance, new_disk: NewDisk, layout: Layout, name: str) -> Iterator[Held]:
    held = Held(guest, new_disk, layout, name)
    held.attach()
    yield held
    held.attach()
    held.do("clear")
    held.detach()
    assert guest.run(["dmsetup", "ls"]).text.strip() == "No devices found"


def test_all_is_made_and_held_and_the_disks_can_go(guest: GuestAppliance, first: Held) -> None:
    first.do("prepare")
    first.do("prepare")
    seen = json.loads(first.do("fill"))
    assert seen == {
        "/": "ext4",
        "/boot": "ext4",
        "/boot/efi": "vfat",
        "/data": "xfs",
        "/srv": "btrfs",
        "/srv/a": "btrfs",
    }
    first.detach()
    first.attach()
    assert json.loads(first.do("read")) == sorted(seen)
    first.detach()
    assert guest.run(["dmsetup", "ls"]).text.strip() == "No devices found"
    first.attach()
    told = guest.run(["vgs", "--noheadings", "--options", "vg_name,pv_count,lv_count"]).text.split()
    assert told == ["rhel", "2", "3"]


def test_groups_of_one_name_are_held_at_once(first: Held, second: Held) -> None:
    for held in (first, second):
        held.do("prepare")
    first.do("beside", msgspec.json.encode(second.layout).decode(), second.where, *_uuids(second))


def _uuids(held: Held) -> list[str]:
    return [",".join(disk.uuid for disk in held.disks)]


def test_what_a_killed_process_left_is_taken_down_or_gone_on_with(little: Held) -> None:
    """Killed after each change of device-mapper's: while it mounts, and when it has unmounted."""
    little.do("prepare")
    assert json.loads(little.do("crash")) == ["create", "create", "remove", "remove"]


def test_an_efi_system_partition_is_mirrored_and_then_the_same(
    guest: GuestAppliance, new_disk: NewDisk
) -> None:
    """vfat has no owners, modes or fractions of a second: nothing of that may look different for ever."""
    esp = Partition(
        *(1, PartitionRole.EFI_SYSTEM, MIB, 66 * MIB, "vfat", "AB00-0009", "", "/boot/efi"),
        options=("fmask=0077", "dmask=0077"),
    )
    for held in _held(guest, new_disk, Layout(Firmware.UEFI, (DiskLayout(0, 68 * MIB, (esp,)),)), "efi"):
        held.do("prepare")
        assert json.loads(held.do("esp")) == {"sent": [3, 0], "same": True, "seen": 6}


def test_disks_that_were_torn_out_of_a_killed_process_can_be_held_again(
    guest: GuestAppliance, little: Held
) -> None:
    """What device-mapper shows lies on disks that are gone then."""
    little.do("prepare")
    little.do("die", ok=tuple(range(256)))
    guest.run(["umount", little.where + "/srv", little.where])
    for disk in little.disks:
        device = guest.run(["readlink", "-f", f"/dev/disk/by-id/wwn-0x{disk.wwn}"]).text.strip()
        guest.run(["sh", "-c", f"echo 1 > /sys/block/{device.rpartition('/')[2]}/device/delete"])
    little.detach()
    assert guest.run(["dmsetup", "ls"]).text.count("dtesx-") == 2
    little.attach()
    little.do("hold")


def test_groups_that_udev_activated_do_not_hold_the_disks(guest: GuestAppliance, little: Held) -> None:
    little.do("prepare")
    little.detach()
    little.attach()
    guest.run(["vgchange", "--quiet", "--activate", "y", "rhel"])
    little.do("hold")
    little.detach()
