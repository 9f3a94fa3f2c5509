"""fstab(5): every line finds its device on the replica, or is commented out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dtesx.boot import lost
from dtesx.boot.devices import Volume
from dtesx.boot.replica import Replica

FSTAB = "/etc/fstab"
_DEVICE_PREFIXES = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=")


@dataclass(frozen=True)
class _Line:
    """An entry split into its fields; octal escapes of spaces are left as they are written."""

    text: str
    device: str
    mount_point: str
    fs_type: str

    @property
    def names_device(self) -> bool:
        return self.device.strip('"').startswith(_DEVICE_PREFIXES)


def fix(replica: Replica) -> Sequence[str]:
    """Rewrite /etc/fstab where needed; say what was changed."""
    old = replica.tree.text(FSTAB)
    new, changes = rewrite(old, replica.file_systems, replica.swaps)
    return changes if replica.tree.write(FSTAB, new) else ()


def rewrite(
    text: str, file_systems: Sequence[Volume], swaps: Sequence[Volume]
) -> tuple[str, tuple[str, ...]]:
    """The new fstab and what is different in it. Lines that are right stay as they are, bytewise."""
    lines: list[str] = []
    changes: list[str] = []
    chosen = _Choice(text, file_systems, swaps)
    for raw in text.splitlines():
        line = _parse(raw)
        if line is None or not line.names_device:
            lines.append(raw)
            chosen.mounted |= {line.mount_point} if line else set()
            continue
        wanted = chosen.volume(line)
        if wanted is None:
            lines.append(lost.OFF + raw)
            changes.append(f"fstab: {line.device} is not on the replica; its line is commented out")
            continue
        chosen.mounted.add(line.mount_point)
        right = wanted.answers(line.device)
        new = _by_path(raw if right else raw.replace(line.device, wanted.stable_name, 1), wanted)
        lines.append(new)
        if new != raw:
            changes.append(f"fstab: {line.device} at {line.mount_point} is now found by {_how(wanted)}")
    for added, name in chosen.missing():
        lines.append(added)
        changes.append(f"fstab: line for {name} added")
    return "".join(f"{line}\n" for line in lines), tuple(changes)


def _how(volume: Volume) -> str:
    return f"{volume.stable_name}, subvol={volume.subvolume}" if volume.subvolume else volume.stable_name


def _by_path(raw: str, volume: Volume) -> str:
    """Subvolumes have other numbers on the replica (btrfs(5), subvolid): only paths stay."""
    fields = raw.split()
    words = fields[3].split(",") if volume.fs_type == "btrfs" and len(fields) > 3 else []
    kept = [word for word in words if not word.startswith("subvolid=")]
    if kept == words:
        return raw
    if not any(word.startswith("subvol=") for word in kept):
        kept.append(f"subvol=/{volume.subvolume}")
    return raw.replace(fields[3], ",".join(kept), 1)


def _parse(raw: str) -> _Line | None:
    fields = raw.split()
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    return _Line(raw, fields[0], _unescape(fields[1]), fields[2])


def _unescape(path: str) -> str:
    clean = path.replace("\\040", " ").replace("\\011", "\t")
    return clean.rstrip("/") or "/"


def _escape(path: str) -> str:
    return path.replace(" ", "\\040").replace("\t", "\\011")


def options(text: str, mount_point: str) -> dict[str, str]:
    """The options of what is mounted at a place, those without a value with ""; none when nothing is."""
    for raw in text.splitlines():
        line = _parse(raw)
        if line is not None and line.mount_point == mount_point:
            words = (*raw.split(), "defaults")[3].split(",")
            return {key: value for key, _, value in (word.partition("=") for word in words)}
    return {}


def is_optional(raw: str) -> bool:
    """Whether a line says that the machine starts without what it mounts."""
    line = _parse(raw)
    words = options(raw, line.mount_point) if line is not None else {}
    return "noauto" in words or "nofail" in words


def subvolume(text: str, volume: Volume) -> str:
    """The btrfs subvolume that is mounted where the volume is; "" for none, or the default one."""
    return options(text, volume.mount_point).get("subvol", "") if volume.fs_type == "btrfs" else ""


def _lacks(volume: Volume, line: _Line) -> bool:
    """Whether a line for another place than the volume's wants a subvolume that is not there."""
    words = options(line.text, line.mount_point) if volume.fs_type == "btrfs" else {}
    path = words.get("subvol", "").strip("/")
    return ("subvolid" in words and "subvol" not in words) or (bool(path) and path not in volume.subvolumes)


class _Choice:
    """Which volume each line means, and what no line has meant so far."""

    def __init__(self, text: str, file_systems: Sequence[Volume], swaps: Sequence[Volume]) -> None:
        parsed = [line for line in map(_parse, text.splitlines()) if line]
        self.mounted: set[str] = set()
        self._file_systems = file_systems
        self._swaps = swaps
        # Lines with a device path take the swaps that no line names, in order.
        self._free = [swap for swap in swaps if not any(swap.answers(line.device) for line in parsed)]
        # A btrfs file system has many lines, and only one of their mount points tells which it is.
        self._by_device = {
            line.device: volume
            for line in parsed
            for volume in file_systems
            if line.mount_point == volume.mount_point and line.fs_type == volume.fs_type == "btrfs"
        }

    def volume(self, line: _Line) -> Volume | None:
        """The volume that a line means; None when the replica has none."""
        named = [v for v in (*self._swaps, *self._file_systems) if v.answers(line.device)]
        if named:
            here = (v for v in named if v.mount_point == line.mount_point)
            return next(here, None if _lacks(named[0], line) else named[0])
        if line.fs_type == "swap":
            return self._free.pop(0) if self._free else None
        if line.mount_point in self.mounted:
            return None
        by_place = (v for v in self._file_systems if v.mount_point == line.mount_point)
        other = self._by_device.get(line.device)
        return next(by_place, None if other is None or _lacks(other, line) else other)

    def missing(self) -> Iterator[tuple[str, str]]:
        """A line for each volume that has none, and what to call it."""
        for volume in self._file_systems:
            if volume.mount_point not in self.mounted:
                order = 0 if volume.fs_type in ("xfs", "btrfs") else 1 if volume.mount_point == "/" else 2
                options = "umask=0077" if volume.fs_type == "vfat" else "defaults"
                if volume.subvolume:
                    options = f"subvol=/{volume.subvolume}"
                place = _escape(volume.mount_point)
                yield f"{volume.stable_name} {place} {volume.fs_type} {options} 0 {order}", volume.mount_point
        for swap in self._free:
            yield f"{swap.stable_name} none swap sw 0 0", "swap"
