"""Sources to plan for: simple ones, and any that a property should hold for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from dtesx.model.inventory import Firmware, Inventory, OperatingSystem, Processor
from dtesx.model.layout import GIB, MIB
from dtesx.model.network import Network as SourceNetwork
from dtesx.model.network import Nic
from dtesx.model.storage import (
    BlockDevice,
    DeviceKind,
    FileSystem,
    LogicalVolume,
    PartitionFacts,
    PhysicalVolume,
    Swap,
    VolumeGroup,
    VolumeKind,
)
from dtesx.model.vmware import Datastore, Network, Offer

EXTENT = 4 * MIB


def fs(
    mount: str, disk: str = "sda", *, size: int = 500 * MIB, kind: str = "ext4", device: str = ""
) -> FileSystem:
    """A file system on a partition, half full."""
    path = device or f"/dev/{disk}1"
    return FileSystem(mount, path, disk, kind, f"uuid-{mount}", "", size, size // 2)


def disk(name: str, size: int = 16 * GIB) -> BlockDevice:
    """A whole disk."""
    return BlockDevice(name, f"/dev/{name}", DeviceKind.DISK, size)


def inventory(*file_systems: FileSystem, swaps: tuple[Swap, ...] = (), disk_bytes: int = 1) -> Inventory:
    """A BIOS machine with these file systems."""
    names = sorted({f.disk for f in file_systems})
    return Inventory(
        hostname="alpha",
        os=OperatingSystem("debian", "12", "Debian 12"),
        kernel="6.1",
        architecture="x86_64",
        firmware=Firmware.BIOS,
        cpus=4,
        memory_bytes=2 * GIB,
        devices=tuple(disk(name, disk_bytes) for name in names),
        file_systems=file_systems,
        swaps=swaps,
        nics=(
            Nic("eth0", "52:54:00:00:00:01", ("10.0.0.2/24",), ("10.0.0.1",)),
            Nic("eth1", "52:54:00:00:00:02", ("10.1.0.2/24",)),
        ),
        network=SourceNetwork(name_servers=("10.0.0.53",)),
        processor=Processor(sockets=2, cores_per_socket=2),
    )


def lvm(
    *sizes: int,
    members: tuple[int, ...] = (20 * GIB,),
    boot: bool = True,
    whole: bool = False,
    kind: VolumeKind = VolumeKind.LINEAR,
) -> Inventory:
    """``/`` and ``/m1``, ``/m2``, ... in the group vg0, on partitions of these sizes; /boot beside it."""
    first = 2 if boot else 1
    devices: list[BlockDevice] = []
    physical = []
    for number, size in enumerate(members):
        name = f"sd{chr(ord('a') + number)}"
        devices.append(disk(name, size + 2 * GIB))
        path = f"/dev/{name}" if whole else f"/dev/{name}{first if number == 0 else 1}"
        if not whole:
            facts = PartitionFacts(first if number == 0 else 1, GIB)
            part = path.removeprefix("/dev/")
            devices.append(BlockDevice(part, path, DeviceKind.PARTITION, size, (name,), partition=facts))
        usable = (size - MIB) // EXTENT * EXTENT
        physical.append(PhysicalVolume(path, f"pv{number}", usable, 0))
    members_below = tuple(p.device.removeprefix("/dev/") for p in physical)
    mounts = ["/", *(f"/m{n}" for n in range(1, len(sizes)))]
    volumes, systems = [], []
    for number, (mount, size) in enumerate(zip(mounts, sizes, strict=True)):
        path = f"/dev/mapper/vg0-lv{number}"
        devices.append(BlockDevice(f"dm-{number}", path, DeviceKind.LOGICAL_VOLUME, size, members_below))
        volumes.append(LogicalVolume(f"lv{number}", f"lv-uuid-{number}", size, kind, f"dm-{number}"))
        systems.append(replace(fs(mount, "sda", size=size, device=path), stack=("disk", "part", "lvm")))
    total = sum(p.size_bytes for p in physical)
    group = VolumeGroup("vg0", "vg-uuid", total, 0, EXTENT, tuple(physical), tuple(volumes))
    beside = (fs("/boot", "sda", size=GIB),) if boot else ()
    return replace(inventory(*beside, *systems), devices=tuple(devices), volume_groups=(group,))


def offer(*, free: int = 1 << 50, disks: int = 1, hardware: int = 19, names: tuple[str, ...] = ()) -> Offer:
    """vSphere with the datastore ds and two port groups."""
    stores = tuple(Datastore(f"d-{n}", n, "VMFS", 1 << 50, free) for n in ("ds", *names))
    networks = (Network("n-1", "VM Network", False), Network("n-2", "Recovery", True))
    return Offer(stores, networks, disks, hardware)


@st.composite
def plain(draw: st.DrawFn) -> Inventory:
    """Any source with file systems and swap on partitions."""
    count = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 1 << 41), min_size=count, max_size=count))
    disks = draw(st.lists(st.sampled_from(["sda", "sdb", "sdc", "vda"]), min_size=count, max_size=count))
    mounts = ["/", *draw(st.sampled_from([[], ["/boot"]])), *(f"/m{n}" for n in range(12))][:count]
    systems = [
        fs(m, d, size=s, device=f"/dev/{d}{n}")
        for n, (m, d, s) in enumerate(zip(mounts, disks, sizes, strict=True))
    ]
    swap_sizes = draw(st.lists(st.integers(4096, 1 << 36), max_size=3))
    swaps = tuple(
        Swap(f"/dev/swap{n}", f"swap-{n}", size, disk=draw(st.sampled_from(["", *disks, "sdz"])))
        for n, size in enumerate(swap_sizes)
    )
    whole = draw(st.integers(1, 1 << 43))
    return inventory(*draw(st.permutations(systems)), swaps=swaps, disk_bytes=whole)


@st.composite
def grouped(draw: st.DrawFn) -> Inventory:
    """Any source with its file systems in a volume group of one or several disks."""
    members = tuple(draw(st.lists(st.integers(GIB, 1 << 42), min_size=1, max_size=4)))
    room = sum((size - MIB) // EXTENT for size in members)
    count = draw(st.integers(1, 6))
    sizes = tuple(draw(st.integers(1, room // count)) * EXTENT for _ in range(count))
    return lvm(*sizes, members=members, boot=draw(st.booleans()))
