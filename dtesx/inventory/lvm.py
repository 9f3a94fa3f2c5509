"""LVM: the JSON of ``lvm fullreport`` (lvmreport(7)) into volume groups. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dtesx.model.storage import BlockDevice, LogicalVolume, PhysicalVolume, VolumeGroup, VolumeKind

_FIELDS = {
    "vg": "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size",
    "pv": "pv_name,pv_uuid,pv_size,pv_free,pv_missing,pv_major,pv_minor",
    "lv": "lv_name,lv_uuid,lv_size,lv_layout,lv_role,pool_lv,origin,data_percent,"
    "lv_kernel_major,lv_kernel_minor",
}
REPORT = (
    *("lvm", "fullreport", "--reportformat", "json", "--units", "b", "--nosuffix"),
    *(word for part, names in _FIELDS.items() for word in ("--configreport", part, "--options", names)),
)
"""The command; one call, so that groups and volumes are of one moment (LVM locks each group for it)."""

# Words of lv_layout, the one that says most first: a cached volume may also be "raid".
_LAYOUTS = (
    ("cache", VolumeKind.CACHED),
    ("writecache", VolumeKind.CACHED),
    ("raid", VolumeKind.RAID),
    ("mirror", VolumeKind.RAID),
    ("striped", VolumeKind.STRIPED),
    ("linear", VolumeKind.LINEAR),
)


def parse_report(text: str, devices: Mapping[str, BlockDevice]) -> tuple[VolumeGroup, ...]:
    """All volume groups of a report; ``devices`` has the block devices by number (``253:0``).

    LVM has names of its own for devices, so only their numbers are believed.
    """
    reports = json.loads(text)["report"] if text.strip() else ()
    return tuple(_group(group, report, devices) for report in reports for group in report.get("vg", ()))


def _group(
    group: Mapping[str, Any], report: Mapping[str, Any], devices: Mapping[str, BlockDevice]
) -> VolumeGroup:
    return VolumeGroup(
        name=str(group["vg_name"]),
        uuid=str(group["vg_uuid"]),
        size_bytes=int(group["vg_size"]),
        free_bytes=int(group["vg_free"]),
        extent_bytes=int(group["vg_extent_size"]),
        physical_volumes=tuple(_physical(volume, devices) for volume in report.get("pv", ())),
        logical_volumes=tuple(_logical(volume, devices) for volume in report.get("lv", ())),
    )


def _physical(volume: Mapping[str, Any], devices: Mapping[str, BlockDevice]) -> PhysicalVolume:
    device = devices.get(f"{volume['pv_major']}:{volume['pv_minor']}")
    return PhysicalVolume(
        device=device.path if device else str(volume["pv_name"]),
        uuid=str(volume["pv_uuid"]),
        size_bytes=int(volume["pv_size"]),
        free_bytes=int(volume["pv_free"]),
        missing=bool(volume["pv_missing"]),
    )


def _logical(volume: Mapping[str, Any], devices: Mapping[str, BlockDevice]) -> LogicalVolume:
    device = devices.get(f"{volume['lv_kernel_major']}:{volume['lv_kernel_minor']}")
    percent = str(volume["data_percent"])
    return LogicalVolume(
        name=str(volume["lv_name"]),
        uuid=str(volume["lv_uuid"]),
        size_bytes=int(volume["lv_size"]),
        kind=_kind(_words(volume["lv_layout"]), _words(volume["lv_role"])),
        device=device.name if device else "",
        pool=_bare(volume["pool_lv"]),
        origin=_bare(volume["origin"]),
        used_percent=float(percent) if percent else None,
    )


def _kind(layout: set[str], role: set[str]) -> VolumeKind:
    if {"thin", "pool"} <= layout:
        return VolumeKind.THIN_POOL
    if "thin" in layout:
        return VolumeKind.THIN
    if "snapshot" in role:
        return VolumeKind.SNAPSHOT
    return next((kind for word, kind in _LAYOUTS if word in layout), VolumeKind.OTHER)


def _words(value: object) -> set[str]:
    return set(str(value).split(","))


def _bare(name: object) -> str:
    # LVM puts what it hides into brackets.
    return str(name).removeprefix("[").removesuffix("]")
