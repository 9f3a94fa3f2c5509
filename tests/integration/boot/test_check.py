"""The look whether a replica would start, at disks that are mounted as a job's worker has them."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from dtesx.base.errors import Conflict
from dtesx.boot import cpio
from dtesx.boot.drivers import REQUIRED
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.record import JobRecord
from dtesx.model.validation import Check, Verdict
from dtesx.model.vmware import VirtualNic
from dtesx.recovery import health
from dtesx.recovery.ports import Surroundings
from dtesx.volumes.mounts import mounted_layout
from dtesx.volumes.prepare import prepare_disks
from tests.unit.recovery.world import INVENTORY, record

pytestmark = pytest.mark.integration

VERSION = "6.1.0-1-amd64"
ROOT = "0e7f3b1c-0000-4000-8000-0000000000e1"
BOOT = "0e7f3b1c-0000-4000-8000-0000000000e2"
DISK = DiskLayout(
    0,
    52 * MIB,
    (
        Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB),
        Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, 24 * MIB, "ext4", ROOT, "", "/"),
        Partition(3, PartitionRole.FILE_SYSTEM, 26 * MIB, 24 * MIB, "ext2", BOOT, "", "/boot"),
    ),
)
LAYOUT = Layout(Firmware.BIOS, (DISK,))
NICS = (VirtualNic(4000, "00:50:56:00:00:01", "VM Network"),)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[dict[str, Path]]:
    disk = tmp_path / "disk.img"
    disk.touch()
    os.truncate(disk, DISK.size_bytes)
    prepare_disks(LAYOUT, [disk])
    with mounted_layout(LAYOUT, [disk], tmp_path / "replica", nested=False) as places:
        (places["/"] / "etc").mkdir()
        (places["/"] / "boot").mkdir()
        (places["/"] / "etc/fstab").write_text(
            f"UUID={ROOT} / ext4 defaults 0 1\nUUID={BOOT} /boot ext2 defaults 0 2\n"
        )
        (places["/boot"] / f"vmlinuz-{VERSION}").write_text("a kernel")
        held = [cpio.regular(f"lib/modules/{VERSION}/{name}.ko", b"") for name in REQUIRED]
        (places["/boot"] / f"initrd.img-{VERSION}").write_bytes(gzip.compress(cpio.write(held)))
        yield places


def job() -> JobRecord:
    return JobRecord(**{**vars(record()), "layout": LAYOUT, "inventory": INVENTORY})


def site(directory: Path) -> Surroundings:
    return cast(Surroundings, SimpleNamespace(directory=directory, cancel=threading.Event()))


def test_the_replica_is_looked_at_where_its_worker_has_it(tmp_path: Path, mounted: dict[str, Path]) -> None:
    before = {place: sorted(path.rglob("*")) for place, path in mounted.items()}
    found = {finding.check: finding.verdict for finding in health.findings(job(), site(tmp_path), NICS)}
    assert found[Check.BOOT_KERNEL] is Verdict.PASSED
    assert found[Check.BOOT_DEVICES] is Verdict.PASSED
    assert found[Check.BOOT_CODE] is Verdict.PASSED
    assert found[Check.BOOT_MENU] is Verdict.WARNING
    assert {place: sorted(path.rglob("*")) for place, path in mounted.items()} == before


def test_a_kernel_that_is_not_on_the_boot_file_system(tmp_path: Path, mounted: dict[str, Path]) -> None:
    shutil.move(mounted["/boot"] / f"vmlinuz-{VERSION}", mounted["/"] / f"boot/vmlinuz-{VERSION}")
    worst = health.findings(job(), site(tmp_path), NICS)[0]
    assert (worst.check, worst.verdict) == (Check.BOOT_KERNEL, Verdict.ERROR)


def test_what_is_not_mounted_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "replica/0").mkdir(parents=True)
    with pytest.raises(Conflict, match="not mounted"):
        health.findings(job(), site(tmp_path), NICS)
