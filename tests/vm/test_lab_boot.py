"""The lab's tree is a server: its own kernel boots it in QEMU on pvscsi and vmxnet3."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dtesx.lab import leftovers
from dtesx.lab.ledger import verify
from dtesx.lab.machine import AttachedDisk, NetworkCard, ReplicaHardware
from dtesx.lab.network import SOURCE, lab_network
from dtesx.lab.qemu import DirectBoot
from dtesx.lab.replica import QemuMachine
from dtesx.lab.rootfs import mounted_tree
from dtesx.lab.shell import Shell, make_key
from dtesx.lab.tree import base_tree, copy_image, personalise

pytestmark = pytest.mark.vm

CACHE = Path(__file__).parents[2] / ".cache"


def test_the_tree_boots_and_tells_its_address(tmp_path: Path) -> None:
    tree = base_tree(CACHE, print)
    key = make_key(tmp_path)
    image = tmp_path / "disk.img"
    copy_image(tree, image)
    with mounted_tree(image, tmp_path / "root") as mounted:
        personalise(mounted, key.with_suffix(".pub").read_text())
        uuid = mounted.uuid
    reports: list[tuple[str, str, str]] = []
    complete = threading.Event()

    def found(*report: str) -> None:
        reports.append((report[0], report[1], report[2]))
        if report[2]:
            complete.set()

    with lab_network(leftovers.lab_identity(tmp_path)) as network:
        shell = Shell(network.namespace, key)
        machine = QemuMachine(
            ReplicaHardware(
                name="alpha-replica",
                uuid="420f5f0a-1111-4222-8333-444455556666",
                cpus=2,
                memory_mib=1024,
                disks=(AttachedDisk(image, "6000C29f-0000-1111-2222-333344445555", image.stat().st_size),),
                nics=(NetworkCard("00:50:56:00:00:11"),),
            ),
            network=network,
            directory=tmp_path / "machine",
            monitor=tmp_path / "monitor",
            shell=shell,
            kvm=lambda: False,
            found=found,
            direct=DirectBoot(tree.kernel, tree.initrd, f"root=UUID={uuid} ro console=ttyS0 net.ifnames=0"),
        )
        machine.start()
        try:
            assert shell.wait(SOURCE, timeout=150), machine.log.read_text(errors="replace")[-3000:]
            assert complete.wait(60), machine.log.read_text(errors="replace")[-3000:]
            assert reports == [("alpha-replica", SOURCE, ""), ("alpha-replica", SOURCE, "alpha")]
            assert (
                machine.run(["systemctl", "is-system-running", "--wait"], timeout=60).text.strip()
                == "running"
            )
            assert machine.run(["lsmod"]).text.count("vmw_pvscsi")
            assert verify(machine.run(["cat", "/srv/ledger/ledger.txt"]).text.splitlines()) > 3
        finally:
            machine.stop()
        assert not machine.alive()
