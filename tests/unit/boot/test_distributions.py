"""Every distribution's tree becomes startable, with nothing else touched, and once is enough."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dtesx.boot import drivers, grub_image, initrd
from dtesx.boot.fix import make_bootable
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree
from dtesx.model.inventory import Firmware
from dtesx.model.wiring import Wiring
from tests.unit.boot.distributions import ALL, encrypted
from tests.unit.boot.golden import BOOT, DRIVERS, ROOT, Golden

GRUB_FILES = ("boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img", "moddep.lst", "normal.mod")


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """depmod and grub-mkimage leave a trace instead of being run; GRUB's files are in the replica."""
    calls: list[Sequence[str]] = []

    def depmod(argv: Sequence[str], **_: object) -> None:
        top = Path(argv[2], "lib/modules", argv[3])
        held = sorted(str(path.relative_to(top)) for path in top.rglob("*.ko"))
        (top / "modules.dep").write_text("".join(f"{path}:\n" for path in held))

    def mkimage(argv: Sequence[str], **_: object) -> None:
        config = Path(argv[argv.index("--config") + 1]).read_text()
        calls.append([*argv, config])
        Path(argv[argv.index("--output") + 1]).write_bytes(b"core " + config.encode())

    monkeypatch.setattr(drivers, "run", depmod)
    monkeypatch.setattr(grub_image, "run", mkimage)
    return calls


def built(golden: Golden, tmp_path: Path) -> tuple[Path, Path]:
    root, disk = tmp_path / "replica", tmp_path / "disk"
    root.mkdir()
    golden.build(root)
    suse = "btrfs_relative_path" in golden.files.get("/boot/grub2/grub.cfg", "")
    place = root / ("usr/share/grub2/i386-pc" if suse else "usr/lib/grub/i386-pc")
    place.mkdir(parents=True)
    for name in (*GRUB_FILES, *(["blscfg.mod"] if (root / "boot/grub2").is_dir() else [])):
        (place / name).write_bytes(bytes(512))
    if suse:
        (place / "btrfs.mod").write_bytes(b"\x7fELF btrfs-mount-subvol")
    disk.write_bytes(bytes(512) + b"EFI PART" + bytes(3 << 20))
    return root, disk


def contents(root: Path) -> dict[str, bytes]:
    found = {}
    for top, _, names in os.walk(root):
        for name in names:
            path = Path(top, name)
            if not path.is_symlink():
                found[f"/{path.relative_to(root)}"] = path.read_bytes()
    return found


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
def test_it_is_made_to_start_and_nothing_else_is_touched(golden: Golden, tmp_path: Path) -> None:
    root, disk = built(golden, tmp_path)
    before = contents(root)
    make_bootable(root, golden.layout, disk, Wiring())
    after = contents(root)
    changed = {path for path in after if after[path] != before.get(path)}
    allowed = golden.changes | {golden.initrd, "/boot/grub2/i386-pc/btrfs.mod"}
    assert changed <= allowed
    assert golden.changes <= changed
    assert before.keys() <= after.keys()
    names = {Path(name).name for name in initrd.read(after[golden.initrd]).members}
    assert {f"{name}.ko" for name in DRIVERS} <= names
    check_menu(golden, after)
    check_loader(golden, after, disk)
    assert make_bootable(root, golden.layout, disk, Wiring()) == ()
    assert contents(root) == after


def check_menu(golden: Golden, after: dict[str, bytes]) -> None:
    """Whatever names kernel arguments names the root; no plain menu took the place of the source's."""
    texts = {path: data.decode() for path, data in after.items() if path in golden.files}
    devices = Replica(Tree(Path("/")), golden.layout, Path("/")).devices
    words = [
        word
        for text in texts.values()
        for line in re.findall(r"^\s*(?:linux|options|kernelopts=)(.*)$", text, re.MULTILINE)
        for word in line.split()
        if word.startswith("root=")
    ]
    assert words
    assert all(devices.root.answers(word.removeprefix("root=")) for word in words)
    assert not any("Written by dtesx" in text for text in texts.values())


def check_loader(golden: Golden, after: dict[str, bytes], disk: Path) -> None:
    if golden.layout.firmware is Firmware.BIOS:
        assert b"core " in disk.read_bytes()
        return
    efi = {path.lower(): data for path, data in after.items()}
    (vendor,) = {path.split("/")[4] for path in efi if "/efi/efi/" in path} - {"boot"}
    started = efi["/boot/efi/efi/boot/bootx64.efi"]
    assert started == f"shim signed for {vendor}".encode()
    if any(name in efi for name in ("/boot/efi/efi/boot/fbx64.efi", "/boot/efi/efi/boot/fallback.efi")):
        assert any(f"/boot/efi/efi/{vendor}/{name}" in efi for name in ("bootx64.csv", "boot.csv"))
    else:
        assert efi["/boot/efi/efi/boot/grubx64.efi"] == f"grub signed for {vendor}".encode()


@pytest.mark.parametrize("golden", [g for g in ALL if g.name.endswith("bios")], ids=lambda g: g.name)
def test_the_core_image_finds_boot(golden: Golden, tmp_path: Path, programs: list[Sequence[str]]) -> None:
    root, disk = built(golden, tmp_path)
    make_bootable(root, golden.layout, disk, Wiring())
    (call,) = programs
    separate = any(part.mount_point == "/boot" for part in golden.layout.disks[0].partitions)
    assert f"search --no-floppy --fs-uuid --set=root {BOOT if separate else ROOT}\n" in call[-1]
    name = "grub2" if (root / "boot/grub2").is_dir() else "grub"
    assert f"set prefix=($root){'' if separate else '/boot'}/{name}\n" in call[-1]
    suse = "SUSE" in golden.files.get("/boot/grub2/grub.cfg", "")
    mount = "btrfs-mount-subvol ($root) /boot/grub2/i386-pc @/boot/grub2/i386-pc\n"
    assert (mount in call[-1]) == suse
    assert ('set btrfs_relative_path="y"\n' in call[-1]) == suse
    assert ("xfs" in call) == (golden.files["/etc/fstab"].count("xfs") > 0)


def test_nothing_waits_for_what_was_encrypted(tmp_path: Path) -> None:
    golden = encrypted()
    root, disk = built(golden, tmp_path)
    make_bootable(root, golden.layout, disk, Wiring())
    texts = {p: d.decode() for p, d in contents(root).items() if p in golden.files}
    for path, text in texts.items():
        live = "".join(line for line in text.splitlines() if not line.startswith("#"))
        assert "luks" not in live, path
        assert "rd.md.uuid" not in live, path
        assert "ARRAY" not in live, path
    assert len(texts["/boot/grub2/grubenv"]) == 1024
    held = initrd.read((root / golden.initrd.lstrip("/")).read_bytes()).members
    hooks = "usr/lib/dracut/hooks/initqueue/finished"
    assert held["etc/cmdline.d/90crypt.conf"].data.strip() == b""
    assert held["etc/cmdline.d/90lvm.conf"].data == b" rd.lvm.lv=rl/root \n rd.lvm.lv=rl/swap \n"
    assert held["etc/crypttab"].data.startswith(b"#")
    assert b"use_devicesfile = 0" in held["etc/lvm/lvmlocal.conf"].data
    assert held[f"{hooks}/devexists-luks.sh"].data == b"true\n"
    assert held[f"{hooks}/devexists-root.sh"].data == b'[ -e "/dev/mapper/rl-root" ]\n'
    masked = [name for name, member in held.items() if member.data == b"/dev/null"]
    assert len(masked) == 1
    assert masked[0].startswith("etc/systemd/system/dev-mapper-luks")
