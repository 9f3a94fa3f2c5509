"""fstab(5): every line finds its device on the replica, or is commented out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dtesx.boot.replica import Replica
from dtesx.model.layout import Partition

FSTAB = "/etc/fstab"
_OFF = "# not on this machine (dtesx): "
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
    text: str, file_systems: Sequence[Partition], swaps: Sequence[Partition]
) -> tuple[str, tuple[str, ...]]:
    """The new fstab and what is different in it. Lines that are right stay as they are, bytewise."""
    lines: list[str] = []
    changes: list[str] = []
    free = _unnamed(text, swaps)
    mounted: set[str] = set()
    for raw in text.splitlines():
        line = _parse(raw)
        if line is None or not line.names_device:
            lines.append(raw)
            mounted |= {line.mount_point} if line else set()
            continue
        wanted = _wanted(line, file_systems, swaps, free, mounted)
        if wanted is None:
            lines.append(_OFF + raw)
            changes.append(f"fstab: {line.device} is not on the replica; its line is commented out")
            continue
        mounted.add(line.mount_point)
        new = raw if _same(line.device, wanted) else raw.replace(line.device, f"UUID={wanted.uuid}", 1)
        lines.append(new)
        if new != raw:
            changes.append(f"fstab: {line.device} is now UUID={wanted.uuid}")
    for added, name in _missing(file_systems, free, mounted):
        lines.append(added)
        changes.append(f"fstab: line for {name} added")
    return "".join(f"{line}\n" for line in lines), tuple(changes)


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


def _same(device: str, partition: Partition) -> bool:
    """Whether a device field already names the partition in a way that survives the move."""
    key, _, value = device.partition("=")
    value = value.strip('"')
    if key == "UUID":
        return value.lower() == partition.uuid.lower()
    if key == "LABEL":
        return bool(value) and value == partition.label
    return device.lower() == f"/dev/disk/by-uuid/{partition.uuid}".lower()


def _unnamed(text: str, swaps: Sequence[Partition]) -> list[Partition]:
    """Swaps that no line names by UUID or label: lines with a device path take them in order."""
    parsed = [line for line in map(_parse, text.splitlines()) if line]
    return [swap for swap in swaps if not any(_same(line.device, swap) for line in parsed)]


def _wanted(
    line: _Line,
    file_systems: Sequence[Partition],
    swaps: Sequence[Partition],
    free: list[Partition],
    mounted: set[str],
) -> Partition | None:
    """The partition that a line means; None when the replica has none."""
    named = next((p for p in (*swaps, *file_systems) if _same(line.device, p)), None)
    if named is not None:
        return named
    if line.fs_type == "swap":
        return free.pop(0) if free else None
    if line.mount_point in mounted:
        return None
    return next((p for p in file_systems if p.mount_point == line.mount_point), None)


def _missing(
    file_systems: Sequence[Partition], swaps: Sequence[Partition], mounted: set[str]
) -> Iterator[tuple[str, str]]:
    for part in file_systems:
        if part.mount_point not in mounted:
            order = 0 if part.fs_type in ("xfs", "btrfs") else 1 if part.mount_point == "/" else 2
            place = _escape(part.mount_point)
            yield f"UUID={part.uuid} {place} {part.fs_type} defaults 0 {order}", part.mount_point
    for swap in swaps:
        yield f"UUID={swap.uuid} none swap sw 0 0", "swap"
