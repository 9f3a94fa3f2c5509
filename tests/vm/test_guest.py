"""The emulated appliance: disks that come and go while it runs, and what only a kernel of its own has."""

from __future__ import annotations

import pytest

from dtesx.base.errors import Conflict
from dtesx.lab.guest_appliance import GuestAppliance
from tests.vm.conftest import NewDisk

pytestmark = pytest.mark.vm


def test_it_is_the_vm_that_vsphere_knows(guest: GuestAppliance) -> None:
    assert guest.run(["cat", "/sys/class/dmi/id/product_uuid"]).text.strip() == guest.uuid
    assert guest.run(["hostname"]).text.strip() == "appliance"


def test_dtesx_runs_in_it_and_finds_a_disk_by_its_uuid(guest: GuestAppliance, new_disk: NewDisk) -> None:
    disk = new_disk(64, controller=2)
    device = guest.attach(disk)
    assert guest.attach(disk) == device
    code = "import sys; from dtesx.volumes.disks import find_disk; print(find_disk(sys.argv[1], timeout=0))"
    assert guest.python(code, disk.uuid).strip() == str(device)
    assert guest.run(["blockdev", "--getsize64", str(device)]).text.strip() == str(disk.size)


def test_disks_come_and_go_with_what_is_on_them(guest: GuestAppliance, new_disk: NewDisk) -> None:
    disks = [new_disk(64), new_disk(64), new_disk(64, controller=3)]
    for number, disk in enumerate(disks):
        device = str(guest.attach(disk))
        guest.run(["sh", "-c", f"echo disk {number} | dd of={device} conv=fsync status=none"])
    for number, disk in enumerate(disks):
        guest.detach(disk)
        guest.detach(disk)
        assert disk.file.read_bytes().startswith(f"disk {number}\n".encode())
        assert guest.run(["test", "-e", f"/dev/disk/by-id/wwn-0x{disk.wwn}"], ok=(1,)).status == 1
    again = str(guest.attach(disks[1]))
    assert guest.run(["head", "--lines", "1", again]).text == "disk 1\n"


def test_its_kernel_has_partitions_volume_groups_and_vfat(guest: GuestAppliance, new_disk: NewDisk) -> None:
    disk = new_disk(256)
    device = str(guest.attach(disk))
    link = f"/dev/disk/by-id/wwn-0x{disk.wwn}"
    script = (
        f"printf 'label: gpt\\nsize=64MiB,type=uefi\\ntype=lvm\\n' | sfdisk --quiet {device}\n"
        f"udevadm settle\nmkfs.vfat -i 12345678 {link}-part1 >&2\n"
        f"pvcreate --quiet {link}-part2 >&2\nvgcreate --quiet lab {link}-part2 >&2\n"
        "lvcreate --quiet --name root --size 64m lab >&2\nmkfs.ext4 -q /dev/lab/root\n"
        f"mount {link}-part1 /mnt && echo mounted && umount /mnt\n"
    )
    assert guest.run(["sh", "-ec", script]).text.endswith("mounted\n")
    assert guest.run(["blkid", "-o", "value", "-s", "UUID", f"{link}-part1"]).text.strip() == "1234-5678"
    with pytest.raises(Conflict, match="in use"):
        guest.detach(disk)
    guest.run(["vgchange", "--quiet", "--activate", "n", "lab"])
    guest.detach(disk)
    assert "lab" not in guest.run(["vgs", "--noheadings", "--options", "name"]).text


def test_a_mounted_disk_stays_attached(guest: GuestAppliance, new_disk: NewDisk) -> None:
    disk = new_disk(64)
    device = str(guest.attach(disk))
    guest.run(["sh", "-ec", f"mkfs.ext4 -q {device}; mount {device} /mnt"])
    with pytest.raises(Conflict, match="in use"):
        guest.detach(disk)
    guest.run(["umount", "/mnt"])
    guest.detach(disk)
    assert disk.wwn not in guest.disks()


@pytest.mark.parametrize("patience", [0.0, 5.0])
def test_a_service_ends_and_starts_again_while_the_machine_stays(
    guest: GuestAppliance, patience: float
) -> None:
    before = guest.run(["cat", "/proc/sys/kernel/random/boot_id"]).text
    guest.stop_service("service", patience=patience)
    assert not guest.service_alive("service")
    assert guest.run(["sh", "-c", "kill -0 $(cat /run/lab-service.pid)"], ok=(1,)).status == 1
    guest.start_service("service")
    assert guest.service_alive("service")
    assert guest.run(["cat", "/proc/sys/kernel/random/boot_id"]).text == before
