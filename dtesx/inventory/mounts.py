"""Mounts: the JSON of findmnt(8); which are protected, and why others are not. Pure, but for ``find_*``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dtesx.base.run import run
from dtesx.inventory.blocks import Block
from dtesx.model.storage import Reason, Unprotected

FILE_SYSTEM_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat"})
OWN_STATE = "/var/lib/dtesx"

_PLACE = "TARGET,SOURCE,FSTYPE,OPTIONS,FSROOT,MAJ:MIN"
_SIZED = f"{_PLACE},UUID,LABEL,SIZE,USED"


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


_NETWORK = _types(
    "9p afs beegfs ceph cifs coda gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs vboxsf virtiofs"
    " fuse.ceph fuse.cephfs fuse.glusterfs fuse.s3fs fuse.sshfs fuse.vmhgfs-fuse"
)
_STACKED = _types("aufs ecryptfs overlay unionfs fuse.bindfs fuse.encfs fuse.gocryptfs fuse.mergerfs")
_IMAGE = _types("cramfs erofs iso9660 romfs squashfs fuse.snapfuse fuse.squashfuse")
# What the kernel or a desktop makes anew at every start: nobody expects it to be protected.
_MADE_ANEW = _types(
    "autofs bdev binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fusectl"
    " hugetlbfs mqueue nfsd nsfs proc pstore ramfs resctrl rootfs rpc_pipefs securityfs selinuxfs smackfs"
    " sysfs tmpfs tracefs fuse.gvfsd-fuse fuse.lxcfs fuse.portal"
)
# Views that engines make of files that lie below these directories and are protected there.
_OF_CONTAINERS = tuple(
    PurePosixPath(path)
    for path in (
        "/run/containerd",
        "/run/docker",
        "/run/netns",
        "/var/lib/containerd",
        "/var/lib/containers",
        "/var/lib/docker",
        "/var/lib/kubelet",
    )
)


@dataclass(frozen=True)
class Mount:
    """One line of findmnt: ``number`` is major:minor, ``root`` what of the file system is mounted.

    Sizes are 0 where they were not asked for.
    """

    target: str
    source: str
    fs_type: str
    options: tuple[str, ...]
    uuid: str
    label: str
    size_bytes: int
    used_bytes: int
    root: str
    number: str

    @property
    def device(self) -> str:
        """The device without the ``[/directory]`` that findmnt appends."""
        return self.source.split("[", 1)[0]

    @property
    def subvolume(self) -> str:
        """The mounted btrfs subvolume; "" for other file systems and for whole ones."""
        if self.fs_type != "btrfs":
            return ""
        named = next((o.removeprefix("subvol=") for o in self.options if o.startswith("subvol=")), "/")
        return "" if named == "/" else named


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """All mounts in findmnt's JSON (``--json --bytes``), in mount order."""
    return tuple(_mounts(json.loads(text)["filesystems"])) if text.strip() else ()


def _mounts(nodes: Sequence[dict[str, Any]]) -> Iterator[Mount]:
    for node in nodes:
        yield Mount(
            target=str(node["target"]),
            source=str(node["source"] or ""),
            fs_type=str(node["fstype"]),
            options=tuple(str(node["options"] or "").split(",")),
            uuid=node.get("uuid") or "",
            label=node.get("label") or "",
            size_bytes=int(node.get("size") or 0),
            used_bytes=int(node.get("used") or 0),
            root=str(node.get("fsroot") or "/"),
            number=str(node["maj:min"] or "").strip(),
        )
        yield from _mounts(node.get("children", ()))


def whole_mounts(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts that carry a file system's data once: no bind mounts, nothing of dtesx's own.

    A file system mounted several times counts where it was mounted first, ``/`` before all others.
    What lies hidden below a later mount at the same place does not count.
    """
    kept: dict[tuple[str, str], Mount] = {}
    candidates = [m for m in mounts if _is_whole(m)]
    visible = {m.target: m for m in candidates}
    for mount in sorted(candidates, key=lambda m: m.target != "/"):
        if visible[mount.target] is mount:
            kept.setdefault((mount.number, mount.subvolume), mount)
    return tuple(sorted(kept.values(), key=candidates.index))


def _is_whole(mount: Mount) -> bool:
    if mount.fs_type not in FILE_SYSTEM_TYPES or _is_own(mount):
        return False
    return mount.root == (mount.subvolume or "/")


def _is_own(mount: Mount) -> bool:
    return PurePosixPath(mount.target).is_relative_to(OWN_STATE)


def block_of(mount: Mount, blocks: Iterable[Block]) -> Block | None:
    """The block device behind a mount: by device number, for btrfs (which has none) by path."""
    listed = tuple(blocks)
    by_number = next((b for b in listed if b.number == mount.number), None)
    names = (mount.device, mount.device.removeprefix("/dev/"))
    by_path = (b for b in listed if b.device.path in names or b.device.name in names)
    return by_number or next(by_path, None)


def unprotected(
    mounts: Iterable[Mount], protected: Sequence[Mount], blocks: Sequence[Block]
) -> tuple[Unprotected, ...]:
    """The mounts whose data do not travel, each with its reason; ``protected`` are the whole mounts.

    What is made anew at every start is left out, and so are other views of what is protected.
    """
    listed = tuple(mounts)
    found = []
    for mount in listed:
        reason = _reason(mount, protected, blocks)
        if reason is not None:
            found.append(Unprotected(mount.target, mount.device, mount.fs_type, reason))
    return tuple(found)


def _reason(mount: Mount, protected: Sequence[Mount], blocks: Sequence[Block]) -> Reason | None:
    if mount.fs_type in _MADE_ANEW or _is_own(mount) or _is_of_containers(mount):
        return None
    if mount.fs_type not in FILE_SYSTEM_TYPES:
        return _foreign(mount.fs_type)
    views = [kept for kept in protected if _shows(kept, mount)]
    if views:
        return None if any(block_of(kept, blocks) for kept in views) else Reason.NO_DEVICE
    return Reason.HIDDEN if _is_whole(mount) else Reason.PART


def _foreign(fs_type: str) -> Reason:
    for types, reason in ((_NETWORK, Reason.NETWORK), (_STACKED, Reason.STACKED), (_IMAGE, Reason.IMAGE)):
        if fs_type in types:
            return reason
    return Reason.USER_SPACE if fs_type.partition(".")[0] == "fuse" else Reason.UNSUPPORTED


def _is_of_containers(mount: Mount) -> bool:
    return any(PurePosixPath(mount.target).is_relative_to(path) for path in _OF_CONTAINERS)


def _shows(kept: Mount, mount: Mount) -> bool:
    return kept.number == mount.number and PurePosixPath(mount.root).is_relative_to(kept.root)


def not_mounted(fstab: Iterable[Mount], mounts: Iterable[Mount]) -> tuple[Unprotected, ...]:
    """The file systems of fstab(5) that a replica could have, were they mounted now."""
    targets = {mount.target for mount in mounts}
    return tuple(
        Unprotected(line.target, line.source, line.fs_type, Reason.NOT_MOUNTED)
        for line in fstab
        if line.fs_type in FILE_SYSTEM_TYPES and line.target not in targets
    )


def find_mounts() -> str:
    """Ask findmnt for mounts of the types that a replica could have; its JSON. Raises CommandFailed."""
    types = ",".join(sorted(FILE_SYSTEM_TYPES))
    # Status 1: no such mount at all.
    return run(["findmnt", "--json", "--bytes", "--types", types, "--output", _SIZED], ok=(0, 1)).text


def find_all_mounts() -> str:
    """Ask findmnt for all mounts. Without sizes: a server that is gone would not tell them."""
    return run(["findmnt", "--json", "--output", _PLACE]).text


def find_fstab() -> str:
    """Ask findmnt for the lines of fstab(5). Raises CommandFailed."""
    # Status 1: there is none, or nothing in it.
    return run(["findmnt", "--json", "--fstab", "--output", _PLACE], ok=(0, 1)).text
