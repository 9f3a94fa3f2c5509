"""A Debian tree copied by files onto blank disks, made bootable, started alone in QEMU.

The tree is made as unhelpful as real sources are: fstab by device path, no GRUB menu, an initramfs
without the virtual hardware's drivers, a swap and a second (XFS) disk that it has never seen.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run, spawn
from dtesx.boot.drivers import REQUIRED
from dtesx.boot.fix import make_bootable
from dtesx.boot.initrd import read as read_initrd
from dtesx.lab.tree import base_tree
from dtesx.model.inventory import Firmware, Inventory, OperatingSystem
from dtesx.model.layout import MIB, Layout
from dtesx.model.replica import ReplicaSpec
from dtesx.model.specs import WorkloadSpec
from dtesx.model.storage import BlockDevice, DeviceKind, FileSystem, Swap
from dtesx.model.wiring import Card, Wiring
from dtesx.planning.disks import plan_layout
from dtesx.planning.workload import select
from dtesx.volumes.mounts import mounted_layout
from dtesx.volumes.prepare import prepare_disks

pytestmark = pytest.mark.vm

CACHE = Path(__file__).resolve().parents[2] / ".cache"
MAC = "00:50:56:00:00:2a"
WIRING = Wiring((Card("eth0", MAC),))
SRV_UUID = "0e7f3b1c-0000-4000-8000-0000000000c1"
SWAP_UUID = "0e7f3b1c-0000-4000-8000-0000000000c2"
BOOT_SECONDS = 300
PROOF = "carried over\n"

REPORT = """[Unit]
After=network.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo; ip -brief address; findmnt -rno TARGET,UUID --real; cat /proc/swaps; \
systemctl --failed --no-legend --plain; sha256sum /srv/proof; echo end of report'
StandardOutput=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
"""


def layout(root_uuid: str) -> Layout:
    def fs(mount: str, disk: str, kind: str, uuid: str, size: int) -> FileSystem:
        return FileSystem(mount, f"/dev/{disk}1", disk, kind, uuid, "", size * MIB, 1)

    source = Inventory(
        hostname="alpha",
        os=OperatingSystem("debian", "12", "Debian 12"),
        kernel="",
        architecture="x86_64",
        firmware=Firmware.BIOS,
        cpus=1,
        memory_bytes=1 << 30,
        devices=(
            BlockDevice("vda", "/dev/vda", DeviceKind.DISK, 4096 * MIB),
            BlockDevice("vdb", "/dev/vdb", DeviceKind.DISK, 512 * MIB),
        ),
        file_systems=(
            fs("/", "vda", "ext4", root_uuid, 4096),
            fs("/srv", "vdb", "xfs", SRV_UUID, 512),
        ),
        swaps=(Swap("/dev/vda2", SWAP_UUID, 16 * MIB, disk="vda"),),
        nics=(),
    )
    return plan_layout(source, select(source, WorkloadSpec()), ReplicaSpec("ds"))


@contextmanager
def source_tree(where: Path) -> Iterator[tuple[Path, str]]:
    image = base_tree(CACHE, print).image
    uuid = run(["blkid", "-o", "value", "-s", "UUID", str(image)]).text.strip()
    where.mkdir()
    run(["mount", "-t", "ext4", "-o", "loop,ro,noload", str(image), str(where)])
    try:
        yield where, uuid
    finally:
        run(["umount", str(where)])


def without_drivers(initrd: bytes) -> bytes:
    """The same archive, its drivers and their index renamed to what modprobe does not look for."""
    zstandard = pytest.importorskip("zstandard")
    content = zstandard.ZstdDecompressor().decompressobj().decompress(initrd)
    for name in REQUIRED:
        content = content.replace(f"{name}.ko".encode(), f"{name}.xx".encode())
    return gzip.compress(content.replace(b"modules.dep.bin", b"modules.dep.xxx"), 1)


def make_unhelpful(root: Path) -> None:
    (root / "etc/fstab").write_text(
        "/dev/vda1 / ext4 errors=remount-ro 0 1\n"
        "/dev/vda2 none swap sw 0 0\n"
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
        "UUID=00000000-dead-4000-8000-000000000000 /backup ext4 defaults 0 2\n"
    )
    shutil.rmtree(root / "boot/grub", ignore_errors=True)
    (initrd,) = (root / "boot").glob("initrd.img-*")
    initrd.write_bytes(without_drivers(initrd.read_bytes()))
    run(["ssh-keygen", "-q", "-A", "-f", str(root)])  # the base tree has none, so sshd would fail
    (root / "srv/proof").write_text(PROOF)
    units = root / "etc/systemd/system"
    (units / "report.service").write_text(REPORT)
    (units / "multi-user.target.wants/report.service").symlink_to("../report.service")


def build_replica(tmp_path: Path) -> tuple[list[Path], Layout]:
    with source_tree(tmp_path / "source") as (source, uuid):
        planned = layout(uuid)
        disks = [tmp_path / f"disk{disk.index}.img" for disk in planned.disks]
        for file, disk in zip(disks, planned.disks, strict=True):
            file.touch()
            os.truncate(file, disk.size_bytes)
        prepare_disks(planned, disks)
        with mounted_layout(planned, disks, tmp_path / "replica", nested=True) as mounted:
            root = mounted["/"]
            run(["cp", "-a", f"{source}/.", str(root)])
            make_unhelpful(root)
            changes = make_bootable(root, planned, disks[0], WIRING, hostname="omega")
            assert any("vmw_pvscsi" in change for change in changes), changes
            (initrd,) = (root / "boot").glob("initrd.img-*")
            assert any(name.endswith("vmw_pvscsi.ko") for name in read_initrd(initrd.read_bytes()).members)
            assert make_bootable(root, planned, disks[0], WIRING, hostname="omega") == ()
    return disks, planned


@contextmanager
def machine(disks: list[Path], console: Path) -> Iterator[None]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-cpu", "max", "-m", "1024"]
    argv += ["-accel", "tcg,thread=multi", "-smp", "2", "-vga", "std", "-display", "none"]
    argv += ["-serial", f"file:{console}", "-device", "pvscsi,id=scsi0,addr=0x10"]
    for number, disk in enumerate(disks):
        argv += ["-drive", f"file={disk},format=raw,if=none,id=d{number},cache=unsafe"]
        argv += ["-device", f"scsi-hd,drive=d{number},bus=scsi0.0,scsi-id={number}"]
    argv += ["-netdev", "user,id=net0,restrict=on"]
    argv += ["-device", f"vmxnet3,netdev=net0,mac={MAC},addr=0x18"]
    process = spawn(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_for_login(console: Path) -> str:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        text = console.read_text(errors="replace") if console.exists() else ""
        if "end of report" in text and re.search(r"^omega login:", text, re.MULTILINE):
            return text
        time.sleep(1)
    pytest.fail(f"no login prompt within {BOOT_SECONDS} s; the console ends with:\n{text[-3000:]}")


def test_the_replica_starts_and_is_the_source(tmp_path: Path) -> None:
    disks, planned = build_replica(tmp_path)
    console = tmp_path / "console"
    started = time.monotonic()
    with machine(disks, console):
        text = wait_for_login(console)
    print(f"login prompt after {time.monotonic() - started:.0f} s")
    report = text[: text.index("end of report")]
    assert re.search(r"^eth0 +UP ", report, re.MULTILINE), report[-2000:]
    for fs in planned.file_systems():
        assert re.search(rf"^{fs.mount_point} {fs.uuid}\s", report, re.MULTILINE)
    assert re.search(r"^/dev/sd[ab]\d+\s+partition", report, re.MULTILINE)
    assert not re.search(r"loaded +failed", report)
    assert f"{hashlib.sha256(PROOF.encode()).hexdigest()}  /srv/proof" in report
