"""How a replica will differ from its source, and what of that may surprise."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.model.inventory import Inventory
from dtesx.model.layout import GIB, MIB, Layout
from dtesx.model.plan import Caution, Deviation, NicMapping
from dtesx.model.storage import TableKind, VolumeKind
from dtesx.model.validation import Check
from dtesx.model.vmware import ReplicaPlan
from dtesx.planning.machine import source_processors
from dtesx.planning.workload import Workload

_ROOM_BYTES = 5 * GIB
_PLAIN = (VolumeKind.LINEAR, VolumeKind.SNAPSHOT, VolumeKind.THIN_POOL)


def deviations(
    inventory: Inventory,
    workload: Workload,
    layout: Layout,
    replica: ReplicaPlan,
    nics: tuple[NicMapping, ...],
) -> Iterator[Deviation]:
    """Everything that is not as on the source."""
    yield from _machine(inventory, replica)
    yield from _disks(inventory, layout)
    yield from _volumes(workload, layout)
    yield from _cards(nics)


def warnings(
    inventory: Inventory, workload: Workload, layout: Layout, replica: ReplicaPlan
) -> Iterator[Caution]:
    """What may surprise later."""
    sockets, cores = source_processors(inventory)
    if replica.cpus < sockets * cores or replica.memory_mib * MIB < inventory.memory_bytes:
        yield Caution(
            Check.POWER,
            "the replica has fewer processors or less memory than the source; it may answer more slowly",
        )
    for volume in workload.volumes:
        if volume.encrypted:
            yield Caution(Check.VOLUMES, f"{volume.title}: encrypted on the source, in clear on the replica")
    sizes = _sizes(layout)
    for volume in workload.volumes:
        size = sizes.get(volume.uuid, 0)
        if 0 < size < volume.size_bytes and size < volume.used_bytes + _ROOM_BYTES:
            yield Caution(
                Check.VOLUME_SIZES,
                f"{volume.title}: {words(size)} hold {words(volume.used_bytes)} of files; a file system "
                f"needs room for itself: give it {words(_ROOM_BYTES)} more than that",
            )


def words(size: int) -> str:
    """A size for people: ``512 MiB``, ``1.5 GiB``."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{-(-size // MIB)} MiB"


def _machine(inventory: Inventory, replica: ReplicaPlan) -> Iterator[Deviation]:
    sockets, cores = source_processors(inventory)
    if (replica.sockets, replica.cores_per_socket) != (sockets, cores):
        yield Deviation(
            "processors",
            f"{sockets} sockets of {cores} cores",
            f"{replica.sockets} sockets of {replica.cores_per_socket} cores",
        )
    if abs(replica.memory_mib * MIB - inventory.memory_bytes) >= 4 * MIB:
        yield Deviation("memory", words(inventory.memory_bytes), words(replica.memory_mib * MIB))
    if replica.firmware is not inventory.firmware:
        yield Deviation("firmware", inventory.firmware.value, replica.firmware.value)


def _disks(inventory: Inventory, layout: Layout) -> Iterator[Deviation]:
    made = {disk.holds: disk for disk in layout.disks}
    for device in inventory.disks:
        subject, disk = f"disk {device.name}", made.get(device.name)
        if disk is None:
            yield Deviation(subject, words(device.size_bytes), "none of its own")
            continue
        yield from _changed(subject, device.size_bytes, disk.size_bytes)
        table = device.disk.table if device.disk is not None else TableKind.GPT
        if table is not TableKind.GPT:
            yield Deviation(subject, f"partition table: {table.value}", "partition table: gpt")
    known = {device.name for device in inventory.disks}
    for disk in layout.disks:
        if disk.holds not in known:
            yield Deviation(f"disk for {disk.holds}", "none of its own", words(disk.size_bytes))


def _changed(subject: str, source_bytes: int, replica_bytes: int) -> Iterator[Deviation]:
    """Sizes that people would call different; each is rounded up to what it is made of."""
    if words(source_bytes) != words(replica_bytes):
        yield Deviation(subject, words(source_bytes), words(replica_bytes))


def _volumes(workload: Workload, layout: Layout) -> Iterator[Deviation]:
    sizes = _sizes(layout)
    for volume in workload.volumes:
        yield from _changed(volume.title, volume.size_bytes, sizes.get(volume.uuid, volume.size_bytes))
        if volume.layers:
            yield Deviation(volume.title, f"on {', '.join(volume.layers)}", "without")
        if volume.devices > 1:
            yield Deviation(volume.title, f"over {volume.devices} devices", "on one")
    protected = {(volume.group, volume.name): volume for volume in workload.volumes}
    for group in workload.groups:
        for found in group.logical_volumes:
            title, kind = f"{group.name}/{found.name}", found.kind
            if (group.name, found.name) not in protected:
                yield Deviation(title, f"a {kind.value} volume", "none")
            elif kind not in _PLAIN:
                yield Deviation(title, f"a {kind.value} volume", "a linear volume")


def _cards(nics: tuple[NicMapping, ...]) -> Iterator[Deviation]:
    for nic in nics:
        if not nic.network:
            yield Deviation(f"network card {nic.name}", nic.mac, "none; its addresses are lost")
            continue
        yield Deviation(f"network card {nic.name}", nic.mac, "a MAC address from vSphere; the name is kept")
        if nic.changed:
            yield Deviation(f"network card {nic.name}", "its addresses", " ".join(nic.addresses))


def _sizes(layout: Layout) -> dict[str, int]:
    """Bytes of each file system and swap by its UUID."""
    return {volume.uuid: volume.size_bytes for volume in layout.volumes() if volume.uuid}
