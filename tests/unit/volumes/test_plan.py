from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Firmware, Inventory, OperatingSystem
from dtesx.model.layout import MIB, PartitionRole
from dtesx.model.storage import BlockDevice, DeviceKind, FileSystem, Swap
from dtesx.volumes.plan import plan_layout

GPT_TAIL = 33 * 512


def fs(mount: str, disk: str = "sda", *, size: int = 500 * MIB, kind: str = "ext4") -> FileSystem:
    return FileSystem(mount, f"/dev/{disk}1", disk, kind, f"uuid-{mount}", "", size, size // 2)


def inventory(*file_systems: FileSystem, swaps: tuple[Swap, ...] = ()) -> Inventory:
    disks = dict.fromkeys(f.disk for f in file_systems)
    return Inventory(
        hostname="alpha",
        os=OperatingSystem("debian", "12", "Debian"),
        kernel="6.1",
        architecture="x86_64",
        firmware=Firmware.BIOS,
        cpus=1,
        memory_bytes=1 << 30,
        devices=tuple(BlockDevice(name, f"/dev/{name}", DeviceKind.DISK, 1 << 34) for name in sorted(disks)),
        file_systems=file_systems,
        swaps=swaps,
        nics=(),
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    count = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 1 << 42), min_size=count, max_size=count))
    disks = draw(st.lists(st.sampled_from(["sda", "sdb", "sdc", "vda"]), min_size=count, max_size=count))
    mounts = ["/", *(f"/m{n}" for n in range(1, count))]
    systems = [fs(m, d, size=s) for m, d, s in zip(mounts, disks, sizes, strict=True)]
    swap_sizes = draw(st.lists(st.integers(4096, 1 << 36), max_size=3))
    swaps = tuple(
        Swap(f"/dev/swap{n}", f"swap-{n}", size, disk=draw(st.sampled_from(["", *disks, "sdz"])))
        for n, size in enumerate(swap_sizes)
    )
    return inventory(*draw(st.permutations(systems)), swaps=swaps)


@given(inventories())
def test_partitions_are_aligned_apart_and_inside_their_disk(source: Inventory) -> None:
    for disk in plan_layout(source).disks:
        end = MIB
        for number, part in enumerate(disk.partitions, start=1):
            assert part.number == number
            assert part.start_bytes % MIB == 0
            assert part.size_bytes % MIB == 0
            assert part.size_bytes > 0
            assert part.start_bytes >= end
            end = part.start_bytes + part.size_bytes
        assert end + GPT_TAIL <= disk.size_bytes
        assert disk.size_bytes % MIB == 0


@given(inventories())
def test_everything_of_the_source_is_there_once_and_not_smaller(source: Inventory) -> None:
    layout = plan_layout(source)
    parts = [part for disk in layout.disks for part in disk.partitions]
    systems = {p.uuid: p for p in parts if p.role is PartitionRole.FILE_SYSTEM}
    assert len(systems) == len([p for p in parts if p.role is PartitionRole.FILE_SYSTEM])
    assert systems.keys() == {f.uuid for f in source.file_systems}
    for wanted in source.file_systems:
        part = systems[wanted.uuid]
        assert part.size_bytes >= wanted.size_bytes
        assert (part.fs_type, part.mount_point) == (wanted.type, wanted.mount_point)
    swaps = {p.uuid: p.size_bytes for p in parts if p.role is PartitionRole.SWAP}
    assert swaps.keys() == {s.uuid for s in source.swaps}
    assert all(swaps[s.uuid] >= s.size_bytes for s in source.swaps)


@given(inventories())
def test_root_is_on_the_first_disk_which_starts_with_a_boot_partition(source: Inventory) -> None:
    layout = plan_layout(source)
    assert [disk.index for disk in layout.disks] == list(range(len(layout.disks)))
    assert len(layout.disks) == len({f.disk for f in source.file_systems})
    first, *others = layout.disks
    assert "/" in [part.mount_point for part in first.partitions]
    assert first.partitions[0].role is PartitionRole.BIOS_BOOT
    assert (first.partitions[0].start_bytes, first.partitions[0].size_bytes) == (MIB, MIB)
    assert all(p.role is not PartitionRole.BIOS_BOOT for disk in others for p in disk.partitions)


def test_disks_follow_the_source_after_the_root_disk() -> None:
    layout = plan_layout(inventory(fs("/srv", "sda"), fs("/", "sdc"), fs("/home", "sdb")))
    assert [d.partitions[-1].mount_point for d in layout.disks] == ["/", "/srv", "/home"]


def test_swap_stays_on_its_disk() -> None:
    layout = plan_layout(
        inventory(fs("/", "sda"), fs("/srv", "sdb"), swaps=(Swap("/dev/sdb2", "s", MIB, disk="sdb"),))
    )
    assert [p.role for p in layout.disks[1].partitions] == [PartitionRole.FILE_SYSTEM, PartitionRole.SWAP]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "vfat"}, "vfat"),
        ({"type": "btrfs", "subvolume": "/@"}, "subvolumes"),
        ({"stack": ("disk", "part", "crypt", "lvm")}, "crypt on lvm"),
        ({"uuid": ""}, "no readable UUID"),
        ({"uuid": "uuid-/"}, "same UUID"),
    ],
)
def test_what_cannot_be_planned_is_named(change: dict[str, object], words: str) -> None:
    odd = replace(fs("/odd"), **change)  # type: ignore[arg-type]
    source = inventory(fs("/"), odd)
    with pytest.raises(UsageError) as caught:
        plan_layout(source)
    assert words in caught.value.message
    assert caught.value.hint


def test_uefi_is_refused() -> None:
    with pytest.raises(UsageError, match="UEFI sources are not supported yet") as caught:
        plan_layout(replace(inventory(fs("/")), firmware=Firmware.UEFI))
    assert caught.value.hint


def test_no_local_root_is_refused() -> None:
    with pytest.raises(UsageError, match="root file system"):
        plan_layout(inventory(fs("/srv")))
