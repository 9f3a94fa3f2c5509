"""An inventory as people read it: the system, a tree of devices, then a table of each kind of thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dtesx.cli import output
from dtesx.cli.formats import size
from dtesx.model.inventory import Boot, Firmware, Inventory, Processor, Security, SelinuxMode
from dtesx.model.network import Link, LinkKind
from dtesx.model.storage import EXPLANATIONS, BlockDevice, FileSystem, LogicalVolume, TableKind

# Types of GPT partitions that hold no file system of the server's (UEFI and freedesktop.org specifications).
_PURPOSES = {
    "21686148-6449-6E6F-744E-656564454649": "BIOS boot",
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B": "PReP boot",
}


def show(inventory: Inventory) -> None:
    """Print all of it."""
    output.pairs(_overview(inventory))
    _section(("DEVICE", "SIZE", "KIND", "CONTENT", "USED", "MOUNTED ON"), list(_tree(inventory)), "no disks")
    _section(("VOLUME", "SIZE", "KIND", "USED", "OF"), list(_volumes(inventory)))
    _section(
        ("MOUNT POINT", "TYPE", "SIZE", "USED", "UUID", "MADE WITH"),
        [_file_system(f) for f in inventory.file_systems],
        "no file systems on disks",
    )
    _section(("SUBVOLUME", "ID", "OF"), list(_subvolumes(inventory)))
    _section(
        ("NIC", "MAC", "DRIVER", "ADDRESSES", "GATEWAYS", "PART OF"),
        [
            (n.name, n.mac, n.driver, " ".join(n.addresses), " ".join(n.gateways), n.master)
            for n in inventory.nics
        ],
        "no network interfaces",
    )
    _section(
        ("LINK", "KIND", "ON", "ADDRESSES", "GATEWAYS"), [_link(found) for found in inventory.network.links]
    )
    _section(
        ("NOT PROTECTED", "TYPE", "SOURCE", "REASON"),
        [(u.mount_point, u.type, u.source, EXPLANATIONS[u.reason]) for u in inventory.unprotected],
    )
    if inventory.unread:
        output.line("")
    for sentence in inventory.unread:
        output.line(f"note: {sentence}")


def _section(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    if rows or empty:
        output.line("")
        output.table(columns, rows, empty=empty)


def _overview(inventory: Inventory) -> list[tuple[str, str]]:
    network = inventory.network
    return [
        ("host name", inventory.hostname),
        ("system", inventory.os.pretty),
        ("kernel", f"{inventory.kernel} ({inventory.architecture})"),
        ("starts by", _starts(inventory.firmware, inventory.boot)),
        ("runs in", inventory.virtualization),
        ("processors", _processors(inventory.cpus, inventory.processor)),
        ("memory", size(inventory.memory_bytes)),
        ("guarded by", _security(inventory.security)),
        ("containers", ", ".join(f"{c.engine}: {c.count} in {c.directory}" for c in inventory.containers)),
        ("network by", " ".join(network.stacks)),
        ("name servers", " ".join(network.name_servers)),
        ("swap", ", ".join(f"{s.device} {size(s.size_bytes)}" for s in inventory.swaps)),
    ]


def _starts(firmware: Firmware, boot: Boot) -> str:
    name = "UEFI" if firmware is Firmware.UEFI else "BIOS"
    secure = " with Secure Boot" if boot.secure else ""
    return f"{name}{secure}; boot loader: {boot.loader}; initramfs: {boot.initramfs}"


def _processors(cpus: int, processor: Processor | None) -> str:
    if processor is None:
        return str(cpus)
    places = f"sockets: {processor.sockets}, cores per socket: {processor.cores_per_socket}"
    return f"{cpus} ({places}) {processor.model}".strip()


def _security(security: Security) -> str:
    parts = [f"AppArmor ({security.apparmor} profiles)"] if security.apparmor else []
    if security.selinux is not SelinuxMode.NONE:
        parts.append(f"SELinux ({' '.join((security.selinux, security.policy)).strip()})")
    return ", ".join(parts)


def _tree(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    drawn: set[str] = set()
    for device in inventory.devices:
        if not device.below:
            yield from _branch(inventory, device, drawn)


def _branch(
    inventory: Inventory, device: BlockDevice, drawn: set[str], lead: str = "", turn: str = "", on: str = ""
) -> Iterator[tuple[str, ...]]:
    """The rows of a device and of all above it; what is on several devices is drawn in full once."""
    repeated = device.name in drawn
    drawn.add(device.name)
    yield _device(inventory, device, f"{lead}{turn}", repeated=repeated)
    above = () if repeated else tuple(d for d in inventory.devices if device.name in d.below)
    for child in above:
        last = child is above[-1]
        yield from _branch(
            inventory, child, drawn, lead + on, "└─ " if last else "├─ ", "   " if last else "│  "
        )


def _device(inventory: Inventory, device: BlockDevice, lead: str, *, repeated: bool) -> tuple[str, ...]:
    name = f"{lead}{_name(inventory, device)}"
    if repeated:
        return (name, "", "", "as above", "", "")
    mounted = [f for f in inventory.file_systems if device in inventory.devices_of(f)]
    swapped = any(swap.device == device.path for swap in inventory.swaps)
    return (
        name,
        size(device.size_bytes),
        _kind(device),
        _content(inventory, device) or (mounted[0].type if mounted else ""),
        size(mounted[0].used_bytes) if mounted else "",
        " ".join(f.mount_point for f in mounted) or ("swap" if swapped else ""),
    )


def _name(inventory: Inventory, device: BlockDevice) -> str:
    pair = inventory.volume(device.name)
    return f"{pair[0].name}/{pair[1].name}" if pair else device.path.removeprefix("/dev/")


def _kind(device: BlockDevice) -> str:
    if device.disk and device.disk.table is not TableKind.NONE:
        return f"{device.kind} ({device.disk.table})"
    if device.raid:
        lacking = f", {device.raid.missing} missing" if device.raid.missing else ""
        return f"{device.raid.level} ({device.raid.members} members{lacking})"
    return str(device.kind)


def _content(inventory: Inventory, device: BlockDevice) -> str:
    group = inventory.group_of(device.path)
    if group is not None:
        return f"PV of {group.name}"
    if device.content.type:
        return device.content.type
    return _PURPOSES.get(device.partition.type, "") if device.partition else ""


def _volumes(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    for group in inventory.volume_groups:
        lacking = sum(1 for volume in group.physical_volumes if volume.missing)
        kind = f"group, PVs missing: {lacking}" if lacking else "group"
        used = size(group.size_bytes - group.free_bytes)
        devices = " ".join(volume.device for volume in group.physical_volumes)
        yield group.name, size(group.size_bytes), kind, used, devices
        for volume in group.logical_volumes:
            yield (
                f"{group.name}/{volume.name}",
                size(volume.size_bytes),
                volume.kind if volume.device else f"{volume.kind}, not active",
                "" if volume.used_percent is None else f"{volume.used_percent:.0f} %",
                _of(volume),
            )


def _of(volume: LogicalVolume) -> str:
    return " ".join(part for part in (volume.pool, volume.origin) if part)


def _file_system(fs: FileSystem) -> tuple[str, ...]:
    where = f"{fs.mount_point} ({fs.subvolume})" if fs.subvolume else fs.mount_point
    version = f"version {fs.format.version}" if fs.format.version else ""
    made = " ".join(part for part in (version, *fs.format.features) if part)
    return where, fs.type, size(fs.size_bytes), size(fs.used_bytes), fs.uuid, made


def _subvolumes(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    owners = {fs.uuid: fs for fs in inventory.file_systems if fs.subvolumes}
    for fs in owners.values():
        for found in fs.subvolumes:
            marks = ", ".join(
                mark for mark, is_so in (("snapshot", found.snapshot), ("default", found.default)) if is_so
            )
            yield f"{found.path} ({marks})" if marks else found.path, str(found.id), fs.device


def _link(link: Link) -> tuple[str, ...]:
    more = {LinkKind.BOND: link.mode, LinkKind.VLAN: str(link.vlan)}.get(link.kind, "")
    kind = f"{link.kind} {more}".strip()
    return link.name, kind, " ".join(link.members), " ".join(link.addresses), " ".join(link.gateways)
