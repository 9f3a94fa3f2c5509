from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.base.errors import ExitCode
from dtesx.cli.server.inventory_view import show
from dtesx.inventory.assembling import assemble
from dtesx.model.inventory import (
    Boot,
    BootLoader,
    ContainerEngine,
    Containers,
    Firmware,
    InitramfsTool,
    Processor,
    Security,
    SelinuxMode,
)
from dtesx.model.network import Link, LinkKind, Network, NetworkStack, Nic
from tests.unit.inventory import records
from tests.unit.inventory.test_assembling import inventory

from .conftest import FakeApi, Run

ARRAY = """
DEVICE            SIZE      KIND                          CONTENT            USED   MOUNTED ON
sda               1.0 GiB   disk (mbr)
├─ sda1           1.0 GiB   partition                     linux_raid_member
│  └─ md0         30.0 GiB  raid1 (2 members, 1 missing)  PV of vg
│     └─ vg/root  1.0 GiB   logical-volume                ext4               500 B  /
├─ sda2           1.0 GiB   partition
└─ sda5           1.0 GiB   partition
sdb               1.0 GiB   disk (mbr)
└─ sdb1           1.0 GiB   partition                     linux_raid_member
   └─ md0                                                 as above
"""


def test_what_is_on_two_disks_is_drawn_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(inventory(assemble(records.raid())))
    assert ARRAY in capsys.readouterr().out


def test_the_layout_of_volumes(capsys: pytest.CaptureFixture[str]) -> None:
    show(inventory(assemble(records.thin())))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "vg 8.0 GiB group, PVs missing: 1 7.0 GiB /dev/mapper/mpatha1 [unknown]" in lines
    assert "vg/pool 4.0 GiB thin-pool 38 %" in lines
    assert "vg/data-snap 4.0 GiB thin pool data" in lines
    assert "vg/mirrored 4.0 GiB raid, not active" in lines


def test_both_disks_of_a_btrfs_show_where_it_is_mounted(capsys: pytest.CaptureFixture[str]) -> None:
    show(inventory(assemble(records.suse())))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "└─ vda2 1.0 GiB partition btrfs 500 B / /var" in lines
    assert "vdb 1.0 GiB disk btrfs 500 B / /var" in lines
    assert "@/.snapshots/1/with path snapshot (snapshot, default) 260 /dev/vda2" in lines


def test_the_reason_for_what_is_not_protected(capsys: pytest.CaptureFixture[str]) -> None:
    found = assemble(records.locked())
    show(replace(inventory(found), unprotected=found.unprotected, unread=("something was not read",)))
    out = capsys.readouterr().out
    assert "filer:/export     its data are on another server\n" in out
    assert out.endswith("\nnote: something was not read\n")


def test_the_machine_itself(capsys: pytest.CaptureFixture[str]) -> None:
    bond = Link("bond0", LinkKind.BOND, "02:00:00:00:00:01", ("eth0",), ("192.0.2.5/24",), mode="802.3ad")
    show(
        replace(
            inventory(assemble(records.rhel())),
            firmware=Firmware.UEFI,
            boot=Boot(True, BootLoader.GRUB, True, InitramfsTool.DRACUT),
            security=Security(SelinuxMode.ENFORCING, "targeted", 3),
            processor=Processor(2, 4, 1, "CPU X"),
            cpus=8,
            containers=(Containers(ContainerEngine.PODMAN, "/var/lib/containers/storage", 2),),
            nics=(Nic("eth0", "02:00:00:00:00:01", driver="vmxnet3", master="bond0"),),
            network=Network((NetworkStack.NETWORK_MANAGER,), (), (bond,), ("192.0.2.1",)),
        )
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "starts by UEFI with Secure Boot; boot loader: grub; initramfs: dracut",
        "processors 8 (sockets: 2, cores per socket: 4) CPU X",
        "guarded by AppArmor (3 profiles), SELinux (enforcing targeted)",
        "containers podman: 2 in /var/lib/containers/storage",
        "network by NetworkManager",
        "eth0 02:00:00:00:00:01 vmxnet3 bond0",
        "bond0 bond 802.3ad eth0 192.0.2.5/24",
    ):
        assert line in lines


@pytest.mark.parametrize("line", ["server inventory", "server inventory alpha --local"])
def test_one_server_or_this_one(api: FakeApi, run: Run, line: str) -> None:
    done = run(*line.split())
    assert done.code == ExitCode.USAGE
    assert "--local" in done.err
    assert api.calls == []
