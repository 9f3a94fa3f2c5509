"""What the tools print on machines of many kinds, as their man pages and sources have it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dtesx.inventory.assembling import Readings

MIB, GIB = 1 << 20, 1 << 30
Node = dict[str, Any]


def node(
    name: str, kind: str, number: str, *children: Node, size: int = GIB, path: str = "", **more: Any
) -> Node:
    """A device as lsblk 2.37 prints it."""
    found: Node = {
        "name": path or f"/dev/{name}",
        "kname": f"/dev/{name}",
        "type": kind,
        "size": size,
        "maj:min": number,
        "ro": False,
        "rm": False,
        "rota": False,
        "log-sec": 512,
        "fstype": None,
        "uuid": None,
        "label": None,
        "model": None,
        "serial": None,
        "wwn": None,
        "tran": None,
    }
    found |= {key.replace("_", "-"): value for key, value in more.items()}
    return found | ({"children": list(children)} if children else {})


def lsblk(*nodes: Node) -> str:
    return json.dumps({"blockdevices": list(nodes)})


def old_lsblk(*nodes: Node) -> str:
    """The same as lsblk 2.32 prints it: everything is a string."""
    return json.dumps({"blockdevices": [_old(node) for node in nodes]})


def _old(node: Node) -> Node:
    plain = {key: value for key, value in node.items() if key != "children"}
    plain = {key: _old_value(value) for key, value in plain.items()}
    return plain | ({"children": [_old(n) for n in node["children"]]} if "children" in node else {})


def _old_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(int(value))
    return None if value is None else str(value)


def mount(target: str, source: str, number: str, fs_type: str = "ext4", **more: Any) -> Node:
    """A mount as findmnt prints it."""
    found: Node = {"target": target, "source": source, "fstype": fs_type, "options": "rw,relatime"}
    found |= {"fsroot": "/", "maj:min": number, "uuid": None, "label": None, "size": 900, "used": 500}
    return found | more


def findmnt(*nodes: Node) -> str:
    return json.dumps({"filesystems": list(nodes)})


def entry(path: str, start: int, size: int, type_: str, **more: Any) -> Node:
    return {"node": path, "start": start, "size": size, "type": type_, **more}


def sfdisk(label: str, *entries: Node, sector: int = 512) -> str:
    table = {"label": label, "id": "ABCD", "device": "/dev/x", "unit": "sectors", "sectorsize": sector}
    return json.dumps({"partitiontable": table | {"partitions": list(entries)}})


def lv(name: str, number: str, layout: str, role: str = "public", **more: str) -> dict[str, str]:
    """A row of the "lv" part of a full report."""
    major, minor = number.split(":") if number else ("-1", "-1")
    found = {"lv_name": name, "lv_uuid": f"lv-{name}", "lv_size": str(4 * GIB), "lv_layout": layout}
    found |= {"lv_role": role, "pool_lv": "", "origin": "", "data_percent": ""}
    return found | {"lv_kernel_major": major, "lv_kernel_minor": minor} | more


def pv(device: str, number: str) -> dict[str, str]:
    """A row of the "pv" part of a full report; a missing one has no number."""
    major, minor = number.split(":") if number else ("-1", "-1")
    found = {"pv_name": device, "pv_uuid": f"pv-{device}", "pv_size": str(8 * GIB), "pv_free": "0"}
    return found | {"pv_missing": "" if number else "missing", "pv_major": major, "pv_minor": minor}


def group(name: str, pvs: Sequence[Mapping[str, str]], lvs: Sequence[Mapping[str, str]]) -> Node:
    vg = {"vg_name": name, "vg_uuid": f"vg-{name}", "vg_size": str(8 * GIB), "vg_free": str(GIB)}
    vg |= {"vg_extent_size": str(4 * MIB)}
    return {"vg": [vg], "pv": list(pvs), "lv": list(lvs), "pvseg": [], "seg": []}


def lvm(*groups: Node) -> str:
    return json.dumps({"report": list(groups)})


def rhel() -> Readings:
    """RHEL 8 on UEFI: ESP, /boot, LVM on a third partition; lsblk of util-linux 2.32."""
    root = node(
        "dm-0", "lvm", "253:0", size=40 * GIB, path="/dev/mapper/rhel-root", fstype="xfs", uuid="u-root"
    )
    swap = node(
        "dm-1", "lvm", "253:1", size=4 * GIB, path="/dev/mapper/rhel-swap", fstype="swap", uuid="u-swap"
    )
    sda3 = node("sda3", "part", "8:3", root, swap, size=62 * GIB, fstype="LVM2_member", uuid="u-pv")
    sda = node(
        "sda",
        "disk",
        "8:0",
        node("sda1", "part", "8:1", size=600 * MIB, fstype="vfat", uuid="ABCD-0001", label="EFI"),
        node("sda2", "part", "8:2", size=GIB, fstype="xfs", uuid="u-boot"),
        sda3,
        size=64 * GIB,
        rota=True,
        model="Virtual disk    ",
        serial="S1",
        wwn="0x6000c29",
        tran="sas",
    )
    table = sfdisk(
        "gpt",
        entry(
            "/dev/sda1", 2048, 1228800, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", uuid="P1", name="EFI System"
        ),
        entry("/dev/sda2", 1230848, 2097152, "0FC63DAF-8483-4772-8E79-3D69D8477DE4", uuid="P2"),
        entry("/dev/sda3", 3328000, 130023424, "E6D6D379-F507-44C2-A23C-238F2A3DF928", uuid="P3"),
    )
    root_mount = mount("/", "/dev/mapper/rhel-root", "253:0", "xfs")
    boot = mount("/boot", "/dev/sda2", "8:2", "xfs")
    esp = mount("/boot/efi", "/dev/sda1", "8:1", "vfat")
    rows = [lv("root", "253:0", "linear"), lv("swap", "253:1", "linear"), lv("spare", "", "linear")]
    return Readings(
        lsblk=old_lsblk(sda, node("sr0", "rom", "11:0")),
        mounts=findmnt(root_mount | {"children": [boot | {"children": [esp]}]}),
        all_mounts=findmnt(root_mount, boot, esp, mount("/proc", "proc", "0:4", "proc")),
        swaps="Filename Type Size Used Priority\n/dev/dm-1 partition 4194300 0 -2\n/swap file 1 0 -3\n",
        tables={"sda": table},
        lvm=lvm(group("rhel", [pv("/dev/sda3", "8:3")], rows)),
    )


def raid() -> Readings:
    """Debian on BIOS: an MBR on each of two disks, RAID 1 over both, LVM on the array."""
    volume = node("dm-0", "lvm", "253:0", path="/dev/mapper/vg-root", fstype="ext4", uuid="u-root")
    array = node("md0", "raid1", "9:0", volume, size=30 * GIB, fstype="LVM2_member")
    member: Node = {"fstype": "linux_raid_member", "uuid": "u-array", "label": "alpha:0"}
    sda1, sdb1 = (node(f"sd{n}1", "part", f"8:{m}", array, **member) for n, m in (("a", 1), ("b", 17)))
    sda2, sda5 = (node(name, "part", number) for name, number in (("sda2", "8:2"), ("sda5", "8:5")))
    first = [entry("/dev/sda1", 2048, 60000, "fd", bootable=True), entry("/dev/sda2", 80000, 2, "5")]
    first.append(entry("/dev/sda5", 90000, 100, "83"))
    return Readings(
        lsblk=lsblk(node("sda", "disk", "8:0", sda1, sda2, sda5), node("sdb", "disk", "8:16", sdb1)),
        mounts=findmnt(mount("/", "/dev/mapper/vg-root", "253:0")),
        tables={"sda": sfdisk("dos", *first), "sdb": sfdisk("dos", entry("/dev/sdb1", 2048, 60000, "fd"))},
        arrays={"md0": {"level": "raid1", "metadata_version": "1.2", "raid_disks": "2", "degraded": "1"}},
        lvm=lvm(group("vg", [pv("/dev/md/0", "9:0")], [lv("root", "253:0", "linear")])),
    )


def thin() -> Readings:
    """A SAN disk with two paths; on its partition a thin pool with a volume and a snapshot of it."""
    base = node("dm-5", "lvm", "253:5", path="/dev/mapper/vg-data", fstype="ext4", uuid="u-data")
    snap = node("dm-6", "lvm", "253:6", path="/dev/mapper/vg-data--snap", fstype="ext4", uuid="u-data")
    pool = node("dm-4", "lvm", "253:4", base, snap, path="/dev/mapper/vg-pool-tpool")
    tdata = node("dm-3", "lvm", "253:3", pool, path="/dev/mapper/vg-pool_tdata")
    tmeta = node("dm-2", "lvm", "253:2", pool, path="/dev/mapper/vg-pool_tmeta")
    part: Node = {"path": "/dev/mapper/mpatha1", "fstype": "LVM2_member"}
    mpatha1 = node("dm-1", "part", "253:1", tmeta, tdata, **part)
    mpatha = node("dm-0", "mpath", "253:0", mpatha1, path="/dev/mapper/mpatha", log_sec=4096)
    rows = [
        lv("pool", "253:4", "thin,pool", "private", data_percent="37.50"),
        lv("data", "253:5", "thin,sparse", "public,origin,thinorigin", pool_lv="pool", data_percent="12.00"),
        lv(
            "data-snap", "253:6", "thin,sparse", "public,snapshot,thinsnapshot", pool_lv="pool", origin="data"
        ),
        lv("old", "253:7", "linear", "public,snapshot,thicksnapshot", origin="x", data_percent="1.5"),
        lv("mirrored", "", "raid,raid1"),
    ]
    return Readings(
        lsblk=lsblk(node("sdb", "disk", "8:16", mpatha), node("sdc", "disk", "8:32", mpatha)),
        mounts=findmnt(mount("/srv", "/dev/mapper/vg-data", "253:5")),
        tables={"dm-0": sfdisk("gpt", entry("/dev/mapper/mpatha-part1", 256, 1000, "X"), sector=4096)},
        lvm=lvm(group("vg", [pv("/dev/mapper/mpatha1", "253:1"), pv("[unknown]", "")], rows)),
    )


def locked() -> Readings:
    """Ubuntu: LUKS on a partition, LVM in it; snaps, Docker, NFS and more are mounted."""
    root = node("dm-1", "lvm", "253:1", path="/dev/mapper/ubuntu--vg-root", fstype="ext4", uuid="u-root")
    crypt: Node = {"path": "/dev/mapper/dm_crypt-0", "fstype": "LVM2_member"}
    dm_crypt = node("dm-0", "crypt", "253:0", root, **crypt)
    part = node("nvme0n1p3", "part", "259:3", dm_crypt, fstype="crypto_LUKS", uuid="u-luks")
    snap = node("loop1", "loop", "7:1", fstype="squashfs")
    disk = node("nvme0n1", "disk", "259:0", part, tran="nvme")
    zram = node("zram0", "disk", "252:0")
    here = mount("/", "/dev/mapper/ubuntu--vg-root", "253:1")
    others = (
        mount("/snap/core/1", "/dev/loop1", "7:1", "squashfs"),
        mount("/var/lib/docker/overlay2/1/merged", "overlay", "0:50", "overlay"),
        mount("/srv/nfs", "filer:/export", "0:51", "nfs4"),
        mount("/home/u/.secret", "/home/u/.private", "0:52", "ecryptfs"),
        mount("/mnt/ssh", "u@h:", "0:53", "fuse.sshfs"),
        mount("/mnt/tool", "tool", "0:54", "fuse.tool"),
        mount("/mnt/win", "/dev/sdx1", "8:99", "fuseblk"),
        mount("/mnt/zfs", "tank", "0:55", "zfs"),
        mount("/tmp", "tmpfs", "0:56", "tmpfs"),
    )
    return Readings(
        lsblk=lsblk(snap, zram, disk),
        mounts=findmnt(here),
        all_mounts=findmnt(here | {"children": list(others)}),
        probed={"/dev/nvme0n1p3": "DEVNAME=/dev/nvme0n1p3\nVERSION=2\nUUID=u-luks\nTYPE=crypto_LUKS\n"},
        tables={"nvme0n1": sfdisk("gpt", entry("/dev/nvme0n1p3", 2048, 4096, "X"))},
        lvm=lvm(group("ubuntu-vg", [pv("/dev/mapper/dm_crypt-0", "253:0")], [lv("root", "253:1", "linear")])),
    )


def suse() -> Readings:
    """SLES 15: one btrfs over two disks with subvolumes and a snapper snapshot."""
    btrfs: Node = {"fstype": "btrfs", "uuid": "u-btrfs", "label": "system disk"}
    options = "rw,relatime,subvolid={0},subvol={1}"

    def sub(target: str, path: str, number: int) -> Node:
        place = {"fsroot": path, "options": options.format(number, path)}
        return mount(target, f"/dev/vda2[{path}]", "0:40", "btrfs", **place)

    listed = (
        "ID 256 gen 30 top level 5 path <FS_TREE>/@\n"
        "ID 258 gen 31 top level 256 path <FS_TREE>/@/var\n"
        "ID 260 gen 12 top level 259 path <FS_TREE>/@/.snapshots/1/with path snapshot\n"
    )
    taken = (
        "ID 260 gen 12 cgen 12 top level 259 otime 2026-01-01 00:00:00 "
        "path <FS_TREE>/@/.snapshots/1/with path snapshot\n"
    )
    return Readings(
        lsblk=lsblk(
            node("vda", "disk", "254:0", node("vda2", "part", "254:2", **btrfs)),
            node("vdb", "disk", "254:16", **btrfs),
        ),
        mounts=findmnt(sub("/", "/@/.snapshots/1/with path snapshot", 260), sub("/var", "/@/var", 258)),
        subvolumes={"u-btrfs": (listed, taken, "ID 260 gen 12 top level 259 path @/.snapshots/1/snapshot")},
    )
