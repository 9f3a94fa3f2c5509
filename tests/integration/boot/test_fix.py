"""make_bootable on a real prepared disk; that it then starts is shown in tests/vm."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError
from dtesx.boot import cpio, initrd
from dtesx.boot.drivers import REQUIRED
from dtesx.boot.fix import make_bootable
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.wiring import Card, Wiring
from dtesx.volumes.mounts import mounted_layout
from dtesx.volumes.prepare import prepare_disks

pytestmark = pytest.mark.integration

VERSION = "6.1.0-1-amd64"
MAC = "00:50:56:00:00:01"
WIRING = Wiring((Card("ens3", MAC),))
ROOT = Partition(
    2, PartitionRole.FILE_SYSTEM, 2 * MIB, 24 * MIB, "ext4", "0e7f3b1c-0000-4000-8000-0000000000b1", "", "/"
)
BOOT = Partition(
    3,
    PartitionRole.FILE_SYSTEM,
    26 * MIB,
    24 * MIB,
    "ext2",
    "0e7f3b1c-0000-4000-8000-0000000000b2",
    "",
    "/boot",
)
DISK = DiskLayout(0, 52 * MIB, (Partition(1, PartitionRole.BIOS_BOOT, MIB, MIB), ROOT, BOOT))
LAYOUT = Layout(Firmware.BIOS, (DISK,))


@contextmanager
def replica(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A mounted, nearly empty replica with one kernel, and its disk."""
    disk = tmp_path / "disk.img"
    disk.touch()
    os.truncate(disk, DISK.size_bytes)
    prepare_disks(LAYOUT, [disk])
    with mounted_layout(LAYOUT, [disk], tmp_path / "root", nested=True) as mounted:
        root = mounted["/"]
        (root / "etc").mkdir()
        (root / "etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n")
        (root / "usr/lib/modules" / VERSION).mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        (root / f"boot/vmlinuz-{VERSION}").write_text("a kernel")
        held = [cpio.regular(f"lib/modules/{VERSION}/{name}.ko", b"") for name in REQUIRED]
        (root / f"boot/initrd.img-{VERSION}").write_bytes(gzip.compress(cpio.write(held)))
        yield root, disk


def test_everything_is_in_place_and_the_second_run_changes_nothing(tmp_path: Path) -> None:
    with replica(tmp_path) as (root, disk):
        changes = make_bootable(root, LAYOUT, disk, WIRING, hostname="beta")
        assert (root / "etc/hostname").read_text() == "beta\n"
        fstab = (root / "etc/fstab").read_text()
        assert f"UUID={ROOT.uuid} / " in fstab
        assert f"UUID={BOOT.uuid} /boot ext2" in fstab
        assert "Name=ens3" in (root / "etc/systemd/network/10-dtesx-ens3.link").read_text()
        menu = (root / "boot/grub/grub.cfg").read_text()
        assert f"linux /vmlinuz-{VERSION} root=UUID={ROOT.uuid} ro" in menu
        assert f"--set=root {BOOT.uuid}" in menu
        assert (root / "boot/grub/i386-pc/normal.mod").is_file()
        assert any("GRUB for BIOS" in change for change in changes)
        sector, core = disk.read_bytes()[:512], disk.read_bytes()[MIB : 2 * MIB]
        assert sector[510:] == b"\x55\xaa"
        assert b"GRUB" in sector[:440]
        assert len(core.rstrip(b"\0")) > 20_000
        assert make_bootable(root, LAYOUT, disk, WIRING, hostname="beta") == ()


def test_missing_drivers_are_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dtesx.boot.drivers as drivers

    def depmod(argv: list[str], **_: object) -> None:
        top = Path(argv[2], "lib/modules", VERSION)
        held = sorted(str(p.relative_to(top)) for p in top.rglob("*.ko"))
        (top / "modules.dep").write_text("".join(f"{path}:\n" for path in held))

    monkeypatch.setattr(drivers, "run", depmod)
    with replica(tmp_path) as (root, disk):
        modules = root / "usr/lib/modules" / VERSION
        (modules / "kernel").mkdir()
        names = [*REQUIRED, "helper"]
        for name in names:
            (modules / f"kernel/{name}.ko").write_text(f"module {name}")
        lines = [f"kernel/{name}.ko: kernel/helper.ko\n" for name in REQUIRED]
        (modules / "modules.dep").write_text("".join([*lines, "kernel/helper.ko:\n"]))
        path = root / f"boot/initrd.img-{VERSION}"
        old = cpio.write([cpio.directory("usr/lib"), cpio.Member("lib", 0o120777, b"usr/lib")])
        path.write_bytes(gzip.compress(old))

        changes = make_bootable(root, LAYOUT, disk, Wiring())

        assert any("vmw_pvscsi, sd_mod, vmxnet3 added" in change for change in changes)
        held = initrd.read(path.read_bytes()).members
        prefix = f"usr/lib/modules/{VERSION}"
        for name in names:
            assert held[f"{prefix}/kernel/{name}.ko"].data == f"module {name}".encode()
        assert b"kernel/helper.ko:" in held[f"{prefix}/modules.dep"].data
        assert held["lib"].data == b"usr/lib"
        assert {f"{prefix}/kernel", prefix, "usr/lib/modules"} <= held.keys()
        assert "usr" in held
        assert make_bootable(root, LAYOUT, disk, Wiring()) == ()


def test_a_kernel_without_drivers_stops_it(tmp_path: Path) -> None:
    with replica(tmp_path) as (root, disk):
        (root / f"boot/initrd.img-{VERSION}").write_bytes(gzip.compress(cpio.write([])))
        with pytest.raises(DtesxError, match="no driver vmw_pvscsi") as caught:
            make_bootable(root, LAYOUT, disk, Wiring())
        assert caught.value.hint


def test_an_older_broken_kernel_is_only_named(tmp_path: Path) -> None:
    with replica(tmp_path) as (root, disk):
        (root / "boot/vmlinuz-5.10").touch()
        (root / "boot/initrd.img-5.10").write_bytes(b"garbage!")
        changes = make_bootable(root, LAYOUT, disk, Wiring())
        assert any(change.startswith("kernel 5.10 will not start here") for change in changes)


def test_a_kernel_without_initramfs_needs_its_drivers_built_in(tmp_path: Path) -> None:
    with replica(tmp_path) as (root, disk):
        (root / f"boot/initrd.img-{VERSION}").unlink()
        with pytest.raises(DtesxError, match="no initramfs and lacks sd_mod, vmw_pvscsi"):
            make_bootable(root, LAYOUT, disk, Wiring())
        builtin = root / "usr/lib/modules" / VERSION / "modules.builtin"
        builtin.write_text("kernel/drivers/scsi/vmw_pvscsi.ko\nkernel/drivers/scsi/sd_mod.ko\n")
        make_bootable(root, LAYOUT, disk, Wiring())
        assert "initrd" not in (root / "boot/grub/grub.cfg").read_text()


def test_a_tree_without_kernel_is_named(tmp_path: Path) -> None:
    with replica(tmp_path) as (root, disk):
        (root / f"boot/vmlinuz-{VERSION}").unlink()
        with pytest.raises(DtesxError, match="no kernel") as caught:
            make_bootable(root, LAYOUT, disk, Wiring())
        assert "container" in caught.value.hint
