import os
from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.lab.machine import AttachedDisk, NetworkCard, ReplicaHardware
from dtesx.lab.qemu import DirectBoot, GuestFiles, guest_arguments

FILES = GuestFiles(Path("/lab/console.log"), Path("/run/lab/monitor"), Path("/lab/variables"))


def hardware(**changes: object) -> ReplicaHardware:
    values: dict[str, object] = {
        "name": "alpha-replica",
        "uuid": "420f5f0a-1111-4222-8333-444455556666",
        "cpus": 1,
        "memory_mib": 1024,
        "disks": (
            AttachedDisk(Path("/ds/b,1-flat.vmdk"), "6000C29b-1111-2222-3333-444455556666", 1 << 30, 1, 3),
            AttachedDisk(Path("/ds/a-flat.vmdk"), "6000C29a-1111-2222-3333-444455556666", 1 << 30, 0, 0),
        ),
        "nics": (NetworkCard("00:50:56:00:00:01"), NetworkCard("00:50:56:00:00:02")),
    }
    return ReplicaHardware(**(values | changes))  # type: ignore[arg-type]


def values_of(argv: list[str], option: str) -> list[str]:
    return [argv[index + 1] for index, word in enumerate(argv) if word == option]


def test_disks_are_on_their_controllers_and_the_first_one_boots() -> None:
    argv = guest_arguments(hardware(), taps=["t0", "t1"], kvm=False, files=FILES)
    devices = values_of(argv, "-device")
    assert "pvscsi,id=scsi0,addr=0x10" in devices
    assert "pvscsi,id=scsi1,addr=0x11" in devices
    disks = [device for device in devices if device.startswith("scsi-hd")]
    assert disks[0].endswith("bus=scsi0.0,scsi-id=0,serial=6000c29a111122223333444455556666,bootindex=1")
    assert disks[1].endswith("bus=scsi1.0,scsi-id=3,serial=6000c29b111122223333444455556666,bootindex=2")


def test_a_comma_in_a_path_cannot_add_options() -> None:
    argv = guest_arguments(hardware(), taps=["t0", "t1"], kvm=False, files=FILES)
    assert any(drive.startswith("file=/ds/b,,1-flat.vmdk,format=raw,") for drive in values_of(argv, "-drive"))


def test_network_cards_are_vmxnet3_with_their_macs_in_fixed_slots() -> None:
    argv = guest_arguments(hardware(), taps=["t0", "t1"], kvm=False, files=FILES)
    cards = [device for device in values_of(argv, "-device") if device.startswith("vmxnet3")]
    assert cards == [
        "vmxnet3,netdev=net0,mac=00:50:56:00:00:01,addr=0x18",
        "vmxnet3,netdev=net1,mac=00:50:56:00:00:02,addr=0x19",
    ]
    assert values_of(argv, "-netdev")[1].startswith("tap,id=net1,ifname=t1,")


def test_emulation_and_kvm_differ_in_accelerator_and_cpu_only() -> None:
    slow = guest_arguments(hardware(), taps=["t0", "t1"], kvm=False, files=FILES)
    fast = guest_arguments(hardware(), taps=["t0", "t1"], kvm=True, files=FILES)
    assert set(fast) - set(slow) == {"kvm", "host"}


def test_a_direct_boot_names_kernel_and_command_line() -> None:
    direct = DirectBoot(Path("/k"), None, "root=/dev/sda", Path("/a,b"))
    argv = guest_arguments(hardware(), taps=["t0", "t1"], kvm=False, files=FILES, direct=direct)
    assert values_of(argv, "-kernel") == ["/k"]
    assert values_of(argv, "-append") == ["root=/dev/sda"]
    assert "-initrd" not in argv
    assert "file=/a,,b,format=raw,if=virtio,cache=unsafe" in values_of(argv, "-drive")


def test_uefi_has_its_settings_and_a_first_disk_that_its_firmware_can_read() -> None:
    argv = guest_arguments(hardware(firmware="efi"), taps=["t0", "t1"], kvm=False, files=FILES)
    assert "if=pflash,format=raw,unit=1,file=/lab/variables" in values_of(argv, "-drive")
    devices = values_of(argv, "-device")
    assert "ide-hd,drive=disk0-0,bus=ide.0,bootindex=1" in devices
    assert any(device.startswith("scsi-hd,drive=disk1-3,bus=scsi1.0,scsi-id=3,") for device in devices)


def test_an_unknown_firmware_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="firmware coreboot") as caught:
        guest_arguments(hardware(firmware="coreboot"), taps=["t0", "t1"], kvm=False, files=FILES)
    assert caught.value.hint


def test_controllers_can_be_there_before_their_disks() -> None:
    argv = guest_arguments(hardware(disks=(), controllers=4), taps=["t0", "t1"], kvm=False, files=FILES)
    controllers = [device for device in values_of(argv, "-device") if device.startswith("pvscsi")]
    assert [device.partition(",addr")[0] for device in controllers] == [
        f"pvscsi,id=scsi{n}" for n in range(4)
    ]


def test_a_guest_gets_at_most_half_of_the_hosts_memory() -> None:
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    for asked, given in ((512, 512), (2 * host, host // 2)):
        argv = guest_arguments(hardware(memory_mib=asked), taps=["t0", "t1"], kvm=False, files=FILES)
        assert values_of(argv, "-m") == [str(given)]
