"""Servers to be protected that are machines of their own: their storage is what a plain tree cannot have.

Their disks are laid out in the emulated appliance, whose kernel has device-mapper and vfat; the files are
copied by the host, ten times faster: a logical volume of a new group is a range of its disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.run import run
from dtesx.lab.debian import BaseTree
from dtesx.lab.guest import Guest, Surroundings
from dtesx.lab.guest_image import install, settle
from dtesx.lab.machine import Appliance, AttachedDisk, NetworkCard, ReplicaHardware
from dtesx.lab.qemu import DirectBoot
from dtesx.lab.rootfs import MountedTree
from dtesx.lab.serving import Service
from dtesx.lab.tree import personalise, write

STATE = Path("/var/lib/dtesx/source")
GIB = 1 << 30
PROOF = "carried over\n"
# What no server needs to start or to be looked at: a third of what would travel.
UNNEEDED = (
    *("usr/share/perl", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/gconv"),
    *("usr/lib/grub", "usr/lib/shim", "usr/share/grub", "usr/share/zoneinfo"),
)
ARGUMENTS = "net.ifnames=0 console=tty0 console=ttyS0,115200"


@dataclass(frozen=True)
class Range:
    """A file system of a server's disk: where it is on the disk, and where the server mounts it."""

    mount_point: str
    start: int
    size: int
    options: str = ""
    kind: str = "ext4"


@dataclass(frozen=True)
class Identity:
    """What no two servers share."""

    name: str
    address: str
    mac: str
    key: Path


class GuestSource(Guest):
    """A server with dtesx's source service."""

    def token(self) -> str:
        """The service's one-time pairing token."""
        return self.fetch(STATE / "token").decode().strip()


def source_service(address: str) -> Service:
    argv = ("python3", "-m", "dtesx", "service", "source", "--address", address, "--state", str(STATE))
    return Service("source", argv, "dtesx source ready")


def new_disk(file: Path, size: int, number: int) -> AttachedDisk:
    """An empty virtual disk; ``number`` tells it from others, and is its place."""
    with file.open("wb") as out:
        out.truncate(size)
    return AttachedDisk(file, f"6000C29a-1111-2222-3333-{number:012x}", size, 1, number)


# --- LVM root, swap and data, separate /boot, started by UEFI

_LVM = """
disk=$1
printf 'label: gpt\\nsize=64MiB,type=uefi\\nsize=256MiB\\ntype=lvm\\n' | sfdisk --quiet $disk
udevadm settle
mkfs.vfat -F 32 -n ESP $disk-part1
mkfs.ext4 -q -L boot $disk-part2
pvcreate -q $disk-part3
vgcreate -q debian $disk-part3
lvcreate -q -y -n root -L 2g debian
lvcreate -q -y -n swap -L 128m debian
lvcreate -q -y -n data -L 320m debian
mkfs.ext4 -q -L root /dev/debian/root
mkfs.xfs -q -L data /dev/debian/data
mkswap /dev/debian/swap
boot=$(blkid -o value -s UUID $disk-part2)
mount $disk-part1 /mnt
own=/mnt/EFI/debian
mkdir -p $own /mnt/EFI/BOOT
cp /usr/lib/shim/shimx64.efi.signed $own/shimx64.efi
cp /usr/lib/shim/shimx64.efi.signed /mnt/EFI/BOOT/BOOTX64.EFI
cp /usr/lib/shim/fbx64.efi.signed /mnt/EFI/BOOT/fbx64.efi
cp /usr/lib/shim/mmx64.efi.signed $own/mmx64.efi
cp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed $own/grubx64.efi
printf 'shimx64.efi,debian,,debian\\n' | iconv -t UCS-2LE > $own/BOOTX64.CSV
cat > $own/grub.cfg <<END
search.fs_uuid $boot root
set prefix=(\\$root)/grub
configfile \\$prefix/grub.cfg
END
umount /mnt
vgchange -q --activate n debian
"""

_MENU = """set timeout=1
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
menuentry 'Debian GNU/Linux' {{
\tinsmod part_gpt
\tinsmod ext2
\tsearch --no-floppy --fs-uuid --set=root {boot}
\tlinux /{kernel} root=/dev/mapper/debian-root ro {arguments}
\tinitrd /{initrd}
}}
"""

_LVM_FSTAB = """# /etc/fstab: as Debian's installer writes it
/dev/mapper/debian-root /          ext4 errors=remount-ro 0 1
UUID={boot} /boot      ext4 defaults 0 2
UUID={esp} /boot/efi  vfat umask=0077 0 1
/dev/mapper/debian-data /data      xfs  defaults 0 0
/dev/mapper/debian-swap none       swap sw 0 0
"""


def lvm_server(appliance: Appliance, tree: BaseTree, disk: AttachedDisk, who: Identity) -> ReplicaHardware:
    """Lay a disk out for a server with volume groups that starts by UEFI, and fill it."""
    device = f"/dev/disk/by-id/wwn-0x{disk.wwn}"
    appliance.attach(disk)
    appliance.run(["sh", "-ec", f"{{ {_LVM} }} >&2", "sh", device], timeout=120)
    uuids = {
        name: appliance.run(["blkid", "-o", "value", "-s", "UUID", f"{device}-part{number}"]).text.strip()
        for number, name in ((1, "esp"), (2, "boot"))
    }
    ranges = _lvm_ranges(appliance, disk.file)
    appliance.detach(disk)
    with _filled(tree, disk.file, ranges, who) as root:
        write(root, "/etc/fstab", _LVM_FSTAB.format(**uuids))
        write(root, "/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/mapper/debian-swap\n")
        (root / "boot/efi").mkdir()
        kernel, initrd = (_newest(root / "boot", f"{kind}-*") for kind in ("vmlinuz", "initrd.img"))
        menu = _MENU.format(boot=uuids["boot"], kernel=kernel, initrd=initrd, arguments=ARGUMENTS)
        write(root, "/boot/grub/grub.cfg", menu)
        write(root, "/data/proof", PROOF)
    return _hardware(who, disk, "efi")


def _lvm_ranges(appliance: Appliance, file: Path) -> list[Range]:
    table = json.loads(run(["sfdisk", "--json", str(file)]).text)["partitiontable"]["partitions"]
    start = {number: row["start"] * 512 for number, row in enumerate(table, 1)}
    units = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options"]
    told = appliance.run(["pvs", *units, "pe_start,vg_extent_size,vg_name"]).text
    (volume,) = (row for row in json.loads(told)["report"][0]["pv"] if row["vg_name"] == "debian")
    rows = json.loads(appliance.run(["lvs", *units, "lv_name,lv_size,devices", "debian"]).text)["report"][0][
        "lv"
    ]
    extents = {row["lv_name"]: int(re.findall(r"\((\d+)\)", row["devices"])[0]) for row in rows}
    sizes = {row["lv_name"]: int(row["lv_size"]) for row in rows}

    def logical(name: str) -> tuple[int, int]:
        offset = int(volume["pe_start"]) + extents[name] * int(volume["vg_extent_size"])
        return start[3] + offset, sizes[name]

    return [
        Range("/", *logical("root")),
        Range("/boot", start[2], table[1]["size"] * 512),
        Range("/data", *logical("data"), kind="xfs"),
    ]


# --- btrfs with the root and home in subvolumes, started by BIOS

_BTRFS_FSTAB = """UUID={uuid} /      btrfs defaults,subvol=@ 0 0
UUID={uuid} /home  btrfs defaults,subvol=@home 0 0
UUID={data} /data  ext4  defaults 0 2
"""


def btrfs_server(tree: BaseTree, disks: Sequence[AttachedDisk], who: Identity) -> tuple[ReplicaHardware, str]:
    """Lay two disks out: btrfs with subvolumes for the system, whose UUID is returned, ext4 for /data."""
    system, data = disks
    run(
        ["sfdisk", "--quiet", str(system.file)],
        stdin=b"label: gpt\nsize=1MiB,type=21686148-6449-6E6F-744E-656564454649\ntype=linux\n",
    )
    run(["sfdisk", "--quiet", str(data.file)], stdin=b"label: gpt\ntype=linux\n")
    first, second = _partition(system.file, 2), _partition(data.file, 1)
    uuids = {}
    with _loop(system.file, *first) as node:
        run(["mkfs.btrfs", "-q", "-L", "system", node])
        uuids["uuid"] = run(["blkid", "-p", "-o", "value", "-s", "UUID", node]).text.strip()
        top = system.file.parent / "top"
        top.mkdir()
        run(["mount", "-t", "btrfs", node, str(top)])
        for name in ("@", "@home"):
            run(["btrfs", "subvolume", "create", str(top / name)])
        run(["umount", str(top)])
    with _loop(data.file, *second) as node:
        run(["mkfs.ext4", "-q", "-L", "data", node])
        uuids["data"] = run(["blkid", "-p", "-o", "value", "-s", "UUID", node]).text.strip()
    ranges = [
        Range("/", *first, kind="btrfs", options="subvol=@"),
        Range("/home", *first, kind="btrfs", options="subvol=@home"),
    ]
    with (
        _filled(tree, system.file, ranges, who) as root,
        _loop(data.file, *second) as node,
        _mounted(node, root / "data", "ext4", ""),
    ):
        write(root, "/etc/fstab", _BTRFS_FSTAB.format(**uuids))
        write(root, "/home/proof", PROOF)
        write(root, "/data/proof", PROOF)
    return _hardware(who, system, "bios", data), uuids["uuid"]


def btrfs_boot(tree: BaseTree, uuid: str) -> DirectBoot:
    """How the btrfs server starts, for which no boot loader is installed."""
    return DirectBoot(tree.kernel, tree.initrd, f"root=UUID={uuid} rootflags=subvol=@ ro {ARGUMENTS}")


# --- both


def machine(
    hardware: ReplicaHardware,
    who: Identity,
    surroundings: Surroundings,
    directory: Path,
    direct: DirectBoot | None = None,
) -> GuestSource:
    """The server, still off."""
    return GuestSource(
        hardware,
        address=who.address,
        surroundings=surroundings,
        directory=directory,
        services=(source_service(who.address),),
        direct=direct,
    )


def _hardware(who: Identity, first: AttachedDisk, firmware: str, *more: AttachedDisk) -> ReplicaHardware:
    return ReplicaHardware(
        name=who.name,
        uuid="",
        cpus=2,
        memory_mib=768,
        disks=(first, *more),
        nics=(NetworkCard(who.mac),),
        firmware=firmware,
    )


@contextmanager
def _filled(tree: BaseTree, file: Path, ranges: Sequence[Range], who: Identity) -> Iterator[Path]:
    """Copy the tree's files to a server's file systems, which are mounted as it has them."""
    root, original = file.parent / "root", file.parent / "tree"
    root.mkdir()
    original.mkdir()
    with ExitStack() as stack:
        run(["mount", "-t", "ext4", "-o", "loop,ro,noload", str(tree.image), str(original)])
        stack.callback(run, ["umount", str(original)])
        nodes = {
            start: stack.enter_context(_loop(file, start, size))
            for start, size in {(part.start, part.size) for part in ranges}
        }
        for part in ranges:
            stack.enter_context(
                _mounted(nodes[part.start], root / part.mount_point.lstrip("/"), part.kind, part.options)
            )
        run(["cp", "--archive", f"{original}/.", str(root)])
        for path in (*(root / name for name in UNNEEDED), *root.glob("usr/lib/*/libicudata.so.*")):
            run(["rm", "--recursive", str(path)])
        personalise(MountedTree(root, Path("/dev/null"), ""), who.key.with_suffix(".pub").read_text())
        settle(root, hostname=who.name, address=who.address)
        install(root)
        write(root, "/srv/proof", PROOF)
        yield root
    original.rmdir()
    root.rmdir()


@contextmanager
def _mounted(node: str, where: Path, kind: str, options: str) -> Iterator[None]:
    where.mkdir(exist_ok=True)
    run(["mount", "-t", kind, *(["-o", options] if options else []), node, str(where)])
    try:
        yield
    finally:
        run(["umount", str(where)])


@contextmanager
def _loop(file: Path, start: int, size: int) -> Iterator[str]:
    options = ["--offset", str(start), "--sizelimit", str(size)]
    node = run(["losetup", "--find", "--show", *options, str(file)]).text.strip()
    try:
        yield node
    finally:
        run(["losetup", "--detach", node])


def _partition(file: Path, number: int) -> tuple[int, int]:
    row = json.loads(run(["sfdisk", "--json", str(file)]).text)["partitiontable"]["partitions"][number - 1]
    return row["start"] * 512, row["size"] * 512


def _newest(where: Path, pattern: str) -> str:
    return sorted(where.glob(pattern))[-1].name
