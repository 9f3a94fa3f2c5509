"""Volume groups: making them, and learning where on their disks the volumes lie.

LVM is asked for its metadata alone and never activates anything (lvm.conf(5), global/activation):
``mapping`` makes the devices. An appliance holds the disks of many servers, whose groups often
have one name; every command sees the devices that it is given and no others (lvm(8), --devices), so
that the name of a group means nothing to anybody else and is the source's from the beginning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.log import get_logger
from dtesx.base.run import Completed, run
from dtesx.model.layout import LogicalVolume, VolumeGroup
from dtesx.volumes.formats import foreign, probe

log = get_logger(__name__)

_CONFIG = "global { activation=0 } backup { backup=0 archive=0 }"
_ENVIRONMENT = {"LVM_SUPPRESS_FD_WARNINGS": "1"}
# Where the extents begin must not depend on what a virtual disk says of its best transfer size.
_ALIGNMENT = ("--dataalignment", "1m", "--dataalignmentoffset", "0")
_MEMBER = "LVM2_member"
_COLUMNS = (
    *("pv_major", "pv_minor", "vg_name", "vg_uuid", "pv_count", "vg_missing_pv_count", "vg_extent_size"),
    *("pe_start", "pvseg_start", "pvseg_size", "lv_name", "lv_uuid", "seg_start_pe", "segtype"),
)


@dataclass(frozen=True)
class Segment:
    """A piece of a logical volume: ``size`` bytes at ``start`` of ``member``."""

    member: Path
    start: int
    size: int


@dataclass(frozen=True)
class Found:
    """A logical volume that is there; ``segments`` are in its own order."""

    name: str
    uuid: str
    segments: tuple[Segment, ...]

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return sum(segment.size for segment in self.segments)


def make(group: VolumeGroup, members: Sequence[Path]) -> None:
    """Make the group over its members and the volumes in it; what is there stays.

    A group that a killed run left without volumes is made anew. Raises Conflict when the members carry
    something else, CommandFailed when LVM fails.
    """
    rows = _rows(members)
    if not _is(group, members, rows):
        _make_group(group, members, rows)
        rows = _rows(members)
    present = {volume.name: volume for volume in _volumes(rows, members)}
    for volume in group.volumes:
        if volume.name not in present:
            _make_volume(group, volume, members)
        elif present[volume.name].size_bytes != volume.size_bytes:
            raise Conflict(
                f"{group.name}/{volume.name} is there, but with another size",
                hint="delete the job's replica with its disks and create it again",
            )


def find(group: VolumeGroup, members: Sequence[Path]) -> Mapping[str, Found]:
    """The group's volumes by name.

    Raises Conflict when one is missing, or is laid out as only LVM itself can read it.
    """
    rows = _rows(members)
    found = {volume.name: volume for volume in _volumes(rows, members)}
    missing = [volume.name for volume in group.volumes if volume.name not in found]
    if missing or not _is(group, members, rows):
        raise Conflict(
            f"the replica's disks lack {', '.join(missing) or 'a part'} of the volume group {group.name}",
            hint="look with lvs on the appliance, or delete the job's replica and create it again",
        )
    return found


def _is(group: VolumeGroup, members: Sequence[Path], rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether these are the members of one whole group of that name."""
    groups = {(row["vg_name"], row["vg_uuid"], row["pv_count"], row["vg_missing_pv_count"]) for row in rows}
    return [(name, count, lost) for name, _, count, lost in groups] == [(group.name, str(len(members)), "0")]


def _make_group(group: VolumeGroup, members: Sequence[Path], rows: Iterable[Mapping[str, str]]) -> None:
    if any(row["lv_name"] for row in rows):
        raise Conflict(
            f"the replica's disks carry a volume group that is not {group.name} as it was planned",
            hint="nothing was changed; delete the job's replica with its disks and create it again",
        )
    for member in members:
        content = probe(member)
        if content.type == _MEMBER:
            log.info("unfinished volume group removed", member=member)
            _lvm(["pvremove", "--force", "--force", "--yes", str(member)], members)
        elif not content.blank:
            raise foreign(member, content)
    log.info("making volume group", group=group.name, members=len(members))
    extent = ("--physicalextentsize", f"{group.extent_bytes}b")
    _lvm(["vgcreate", "--yes", *extent, *_ALIGNMENT, group.name, *map(str, members)], members)


def _make_volume(group: VolumeGroup, volume: LogicalVolume, members: Sequence[Path]) -> None:
    extents = volume.size_bytes // group.extent_bytes
    log.info("making logical volume", group=group.name, name=volume.name, extents=extents)
    # What is made is not looked at by LVM: there is no device yet that could be wiped.
    plain = ("--yes", "--activate", "n", "--zero", "n", "--wipesignatures", "n")
    _lvm(["lvcreate", *plain, "--name", volume.name, "--extents", str(extents), group.name], members)


def _volumes(rows: Iterable[Mapping[str, str]], members: Sequence[Path]) -> tuple[Found, ...]:
    # LVM has names of its own for devices, so only their numbers are believed.
    numbers = {os.stat(member).st_rdev: member for member in members}
    pieces: dict[tuple[str, str], list[tuple[int, Segment]]] = {}
    for row in rows:
        member = numbers.get(os.makedev(int(row["pv_major"]), int(row["pv_minor"])))
        if not row["lv_name"] or member is None:
            continue
        if row["segtype"] != "linear":
            raise Conflict(
                f"{row['vg_name']}/{row['lv_name']} is a {row['segtype']} volume; a replica has linear ones",
                hint="use other disks, or new ones: `existing` names disks that a replica had before",
            )
        extent = int(row["vg_extent_size"])
        start = int(row["pe_start"]) + int(row["pvseg_start"]) * extent
        segment = Segment(member, start, int(row["pvseg_size"]) * extent)
        pieces.setdefault((row["lv_name"], row["lv_uuid"]), []).append((int(row["seg_start_pe"]), segment))
    return tuple(
        Found(name, uuid, tuple(segment for _, segment in sorted(found, key=lambda piece: piece[0])))
        for (name, uuid), found in pieces.items()
    )


def _rows(members: Sequence[Path]) -> list[dict[str, str]]:
    """Every piece of every member, in LVM's words; none of members that are not LVM's."""
    form = ("--segments", "--reportformat", "json", "--units", "b", "--nosuffix")
    told = _lvm(["pvs", *form, "--options", ",".join(_COLUMNS)], members).text
    return [row for report in json.loads(told)["report"] for row in report.get("pvseg", ())]


def _lvm(words: Sequence[str], members: Sequence[Path]) -> Completed:
    only = ("--devices", ",".join(map(str, members)))
    return run(
        ["lvm", *words, *only, "--config", _CONFIG],
        env=_ENVIRONMENT,
        hint="install lvm2 2.03.12 or newer on the appliance",
    )
