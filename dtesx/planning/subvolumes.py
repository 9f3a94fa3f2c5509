"""Which subvolumes of a btrfs a replica gets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from dtesx.model import storage
from dtesx.model.inventory import Inventory
from dtesx.model.layout import Subvolume
from dtesx.model.mounting import mount_key
from dtesx.model.storage import FileSystem


def planned(inventory: Inventory, mounts: Sequence[FileSystem]) -> tuple[Subvolume, ...]:
    """The subvolumes for these mounts of one btrfs, parents before children; none where it is mounted whole.

    They are those that are mounted, those that are seen within these, and whatever holds one of them.
    Snapshots and what container engines keep are only taken where they are mounted: they are versions
    and layers of other files.
    """
    listed = {found.path: found for found in mounts[0].subvolumes}
    placed = {_path(fs): fs.mount_point for fs in mounts}
    mounted = frozenset(placed)
    for path in sorted(listed, key=mount_key):
        point = "" if path in placed else _seen_at(path, placed, mounted, listed, inventory)
        if point and _travels(listed[path], point, inventory):
            placed[path] = point
    if set(placed) == {""}:
        return ()
    holders = {above for path in placed for above in _above(path) if above in listed}
    return tuple(
        Subvolume(
            path,
            placed.get(path, ""),
            mounted=path in mounted,
            default=path in listed and listed[path].default,
        )
        for path in sorted({*placed, *holders}, key=mount_key)
    )


def left_out(mounts: Sequence[FileSystem], made: Collection[Subvolume]) -> Iterator[tuple[str, str]]:
    """What of the btrfs stays behind: what it is, and the reason (without its full stop)."""
    known = {found.path for found in made}
    left = [(fs, found) for fs in mounts[:1] for found in fs.subvolumes if found.path not in known]
    snapshots = [fs.mount_point for fs, found in left if found.snapshot]
    if snapshots:
        yield f"{snapshots[0]}: {len(snapshots)} snapshots", "snapshots of subvolumes are not mirrored"
    for fs, found in left:
        if not found.snapshot:
            reason = "the subvolume is not mounted, or belongs to a container engine"
            yield f"{fs.mount_point}: {found.path}", reason


def _path(fs: FileSystem) -> str:
    return fs.subvolume.strip("/")


def _above(path: str) -> list[str]:
    return [str(above) for above in PurePosixPath(path).parents if str(above) != "."]


def _seen_at(
    path: str,
    placed: dict[str, str],
    mounted: Collection[str],
    listed: Collection[str],
    inventory: Inventory,
) -> str:
    """Where the source shows a subvolume that is not mounted itself; "" where it does not."""
    holder = next((above for above in _above(path) if above in listed), "")
    if holder not in placed:
        return ""
    point = str(PurePosixPath(placed[holder], PurePosixPath(path).relative_to(holder)))
    shown = next((above for above in (*_above(path), "") if above in mounted), "")
    return point if _covering(point, inventory) == placed[shown] else ""


def _covering(point: str, inventory: Inventory) -> str:
    """The mount point whose file system is seen at a path."""
    points = {fs.mount_point for fs in inventory.file_systems}
    points |= {mount.mount_point for mount in inventory.unprotected}
    return max((above for above in points if PurePosixPath(point).is_relative_to(above)), key=len)


def _travels(found: storage.Subvolume, point: str, inventory: Inventory) -> bool:
    # mount(8) would take a comma for the end of the option that names the subvolume.
    engines = (engine.directory for engine in inventory.containers)
    kept = any(PurePosixPath(point).is_relative_to(directory) for directory in engines)
    return not (found.snapshot or kept or "," in found.path)
