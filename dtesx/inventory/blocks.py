"""Mounts and block devices: lsblk(8) and findmnt(8) output joined. Pure, but for ``read_blocks``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dtesx.base.run import run

FILE_SYSTEM_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat"})
OWN_STATE = "/var/lib/dtesx"

_LSBLK = "NAME,KNAME,PATH,TYPE,SIZE,MAJ:MIN,FSTYPE,UUID,LABEL"
_FINDMNT = "TARGET,SOURCE,FSTYPE,OPTIONS,UUID,LABEL,SIZE,USED,FSROOT,MAJ:MIN"


@dataclass(frozen=True)
class Block:
    """A block device; ``stack`` are the layer types from the whole disk up to it."""

    kname: str
    path: str
    type: str
    size_bytes: int
    number: str
    disk: str
    stack: tuple[str, ...]
    fs_type: str
    uuid: str
    label: str


@dataclass(frozen=True)
class Mount:
    """One line of findmnt: ``number`` is major:minor, ``root`` what of the file system is mounted."""

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


def parse_blocks(text: str) -> tuple[Block, ...]:
    """All block devices in lsblk's JSON (``--json --bytes``), each once."""
    found: dict[str, Block] = {}
    for top in json.loads(text)["blockdevices"]:
        for block in _walk(top, str(top["kname"]), ()):
            found.setdefault(block.kname, block)
    return tuple(found.values())


def _walk(node: dict[str, Any], disk: str, below: tuple[str, ...]) -> Iterator[Block]:
    stack = (*below, str(node["type"]))
    yield Block(
        kname=str(node["kname"]),
        path=str(node.get("path") or f"/dev/{node['name']}"),
        type=str(node["type"]),
        size_bytes=int(node["size"] or 0),
        number=str(node["maj:min"]).strip(),
        disk=disk,
        stack=stack,
        fs_type=node.get("fstype") or "",
        uuid=node.get("uuid") or "",
        label=node.get("label") or "",
    )
    for child in node.get("children", ()):
        yield from _walk(child, disk, stack)


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
            number=str(node["maj:min"]).strip(),
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
    if mount.fs_type not in FILE_SYSTEM_TYPES:
        return False
    if mount.target == OWN_STATE or mount.target.startswith(f"{OWN_STATE}/"):
        return False
    return mount.root == (mount.subvolume or "/")


def block_of(mount: Mount, blocks: Iterable[Block]) -> Block | None:
    """The block device behind a mount: by device number, for btrfs (which has none) by path."""
    listed = tuple(blocks)
    by_number = next((b for b in listed if b.number == mount.number), None)
    return by_number or next((b for b in listed if mount.device in (b.path, f"/dev/{b.kname}")), None)


def read_blocks() -> tuple[Block, ...]:
    """Ask lsblk. Raises CommandFailed."""
    return parse_blocks(run(["lsblk", "--json", "--bytes", "--output", _LSBLK]).text)


def read_mounts() -> tuple[Mount, ...]:
    """Ask findmnt for mounts of the types that a replica could have. Raises CommandFailed."""
    types = ",".join(sorted(FILE_SYSTEM_TYPES))
    # Status 1: no such mount at all.
    done = run(["findmnt", "--json", "--bytes", "--types", types, "--output", _FINDMNT], ok=(0, 1))
    return parse_mounts(done.text)
