"""Disks, partitions and volume groups, whatever the source and whatever is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Firmware, Inventory
from dtesx.model.layout import GIB, MIB, TIB, DiskFormat, Layout, LogicalVolume, Partition, PartitionRole
from dtesx.model.quantities import parse_size
from dtesx.model.replica import DiskSpec, DiskStrategy, GroupSpec, ReplicaSpec, StorageSpec
from dtesx.model.specs import WorkloadSpec
from dtesx.model.storage import Reason, Swap, Unprotected, VolumeKind
from dtesx.planning.disks import plan_layout
from dtesx.planning.drafts import MAX_DISK_BYTES
from dtesx.planning.workload import select

from .sources import EXTENT, disk, fs, grouped, inventory, lvm, plain

GPT_TAIL = 33 * 512
PER_VOLUME = StorageSpec(DiskStrategy.PER_VOLUME)
BOTH = st.sampled_from([StorageSpec(), PER_VOLUME])


def layout(source: Inventory, storage: StorageSpec | None = None, **options: Any) -> Layout:
    workload = select(source, options.pop("workload", WorkloadSpec()))
    return plan_layout(source, workload, ReplicaSpec("ds", storage=storage or StorageSpec(), **options))


def attempted(source: Inventory, storage: StorageSpec) -> Layout | UsageError:
    try:
        return layout(source, storage)
    except UsageError as error:
        return error


def partitions(planned: Layout) -> list[Partition]:
    return [part for disk in planned.disks for part in disk.partitions]


def volumes(planned: Layout) -> list[Partition | LogicalVolume]:
    return [*partitions(planned), *(volume for group in planned.groups for volume in group.volumes)]


@given(st.one_of(plain(), grouped()), BOTH, st.sampled_from(Firmware))
def test_partitions_are_aligned_apart_and_inside_their_disk(
    source: Inventory, storage: StorageSpec, firmware: Firmware
) -> None:
    planned = layout(replace(source, firmware=firmware), storage)
    assert [disk.index for disk in planned.disks] == list(range(len(planned.disks)))
    assert len({(disk.bus, disk.unit) for disk in planned.disks}) == len(planned.disks)
    for made in planned.disks:
        end = MIB
        for number, part in enumerate(made.partitions, start=1):
            assert part.number == number
            assert part.start_bytes % MIB == 0
            assert part.size_bytes % MIB == 0
            assert part.size_bytes > 0
            assert part.start_bytes >= end
            end = part.start_bytes + part.size_bytes
        assert end + GPT_TAIL <= made.size_bytes <= MAX_DISK_BYTES
        assert made.size_bytes % MIB == 0


@given(st.one_of(plain(), grouped()), BOTH)
def test_everything_of_the_source_is_there_once_and_not_smaller(
    source: Inventory, storage: StorageSpec
) -> None:
    planned = layout(source, storage)
    made = [part for part in volumes(planned) if part.uuid]
    assert len(made) == len({part.uuid for part in made})
    systems = {p.uuid: p for p in made if p.role is PartitionRole.FILE_SYSTEM}
    assert systems.keys() == {f.uuid for f in source.file_systems}
    for wanted in source.file_systems:
        part = systems[wanted.uuid]
        assert part.size_bytes >= wanted.size_bytes
        assert (part.fs_type, part.mount_point) == (wanted.type, wanted.mount_point)
    swaps = {p.uuid: p.size_bytes for p in made if p.role is PartitionRole.SWAP}
    assert swaps.keys() == {s.uuid for s in source.swaps}
    assert all(swaps[s.uuid] >= s.size_bytes for s in source.swaps)


@given(grouped(), BOTH, st.integers(64, 1 << 16))
def test_a_volume_group_has_room_for_its_volumes_on_its_disks(
    source: Inventory, storage: StorageSpec, most: int
) -> None:
    if storage is PER_VOLUME:
        storage = replace(storage, groups={"vg0": GroupSpec(disk_size=f"{most + 200_000}MiB")})
    planned = layout(source, storage)
    (group,) = planned.groups
    members = [part for part in partitions(planned) if part.group == group.name]
    usable = sum((part.size_bytes - MIB) // group.extent_bytes * group.extent_bytes for part in members)
    assert usable >= group.size_bytes >= sum(volume.size_bytes for volume in group.volumes)
    assert all(volume.size_bytes % group.extent_bytes == 0 for volume in group.volumes)
    if storage.groups:
        assert all(disk.size_bytes <= (most + 200_000) * MIB for disk in planned.disks if disk.holds == "vg0")


@st.composite
def sized(draw: st.DrawFn) -> tuple[Inventory, StorageSpec]:
    """A source with volumes on partitions and in a group, and whatever sizes for them."""
    source = lvm(*draw(st.lists(st.integers(1, 64).map(GIB.__mul__), min_size=1, max_size=4)))
    asked = st.integers(1, 200).map(lambda size: f"{size}GiB") | st.just("")
    volumes = {f"lv{n}": draw(asked) for n in range(len(source.file_systems) - 1)}
    group = GroupSpec(size=draw(asked), disk_size=draw(asked), volumes=volumes)
    return source, replace(
        PER_VOLUME, groups={"vg0": group}, partitions={"/boot": DiskSpec(size=draw(asked))}
    )


@given(sized())
def test_sizes_are_as_asked_for_or_refused_by_name(asked: tuple[Inventory, StorageSpec]) -> None:
    source, storage = asked
    spec = storage.groups["vg0"]
    planned = attempted(source, storage)
    if isinstance(planned, UsageError):
        assert planned.message.startswith("replica.storage.groups.vg0.")
        assert planned.hint
        return
    (group,) = planned.groups
    used = {fs.uuid: fs.used_bytes for fs in source.file_systems}
    assert all(volume.size_bytes >= used[volume.uuid] for volume in volumes(planned) if volume.uuid)
    for volume in group.volumes:
        wanted = spec.volumes[volume.name]
        assert not wanted or volume.size_bytes == parse_size(wanted)
    assert not spec.size or group.size_bytes == parse_size(spec.size)
    if spec.disk_size:
        disks = [disk for disk in planned.disks if disk.holds == "vg0"]
        assert all(disk.size_bytes <= parse_size(spec.disk_size) for disk in disks)


@given(plain(), BOTH)
def test_root_is_on_the_first_disk_which_starts_with_a_boot_partition(
    source: Inventory, storage: StorageSpec
) -> None:
    first, *others = layout(source, storage).disks
    assert "/" in [part.mount_point for part in first.partitions]
    assert first.partitions[0].role is PartitionRole.BIOS_BOOT
    assert (first.partitions[0].start_bytes, first.partitions[0].size_bytes) == (MIB, MIB)
    assert all(p.role is not PartitionRole.BIOS_BOOT for disk in others for p in disk.partitions)


@given(plain())
def test_match_source_makes_a_disk_of_each_and_never_a_smaller_one(source: Inventory) -> None:
    planned = layout(source)
    assert {disk.holds for disk in planned.disks} == {f.disk for f in source.file_systems}
    sizes = {disk.name: disk.size_bytes for disk in source.disks}
    assert all(disk.size_bytes >= sizes[disk.holds] for disk in planned.disks)


@given(plain())
def test_per_volume_gives_each_file_system_a_disk(source: Inventory) -> None:
    planned = layout(source, PER_VOLUME)
    assert sorted(disk.holds for disk in planned.disks) == sorted(f.mount_point for f in source.file_systems)


def test_disks_follow_the_source_after_the_root_disk() -> None:
    source = inventory(fs("/srv", "sda"), fs("/", "sdc"), fs("/home", "sdb"))
    assert [d.partitions[-1].mount_point for d in layout(source).disks] == ["/", "/srv", "/home"]


def test_swap_stays_on_its_disk_or_goes_to_the_first() -> None:
    swap = Swap("/dev/sdb2", "s", MIB, disk="sdb")
    source = inventory(fs("/", "sda"), fs("/srv", "sdb"), swaps=(swap,))
    assert [p.role for p in layout(source).disks[1].partitions] == [
        PartitionRole.FILE_SYSTEM,
        PartitionRole.SWAP,
    ]
    assert PartitionRole.SWAP in [p.role for p in layout(source, PER_VOLUME).disks[0].partitions]


def test_a_disk_is_as_large_as_the_sources_unless_the_job_says_otherwise() -> None:
    source = inventory(fs("/"), disk_bytes=16 * GIB)
    assert layout(source).disks[0].size_bytes == 16 * GIB
    smaller = StorageSpec(disks={"sda": DiskSpec(size="1GiB", datastore="other", format=DiskFormat.THICK)})
    made = layout(source, smaller).disks[0]
    assert (made.size_bytes, made.datastore, made.format) == (GIB, "other", DiskFormat.THICK)


@pytest.mark.parametrize(
    ("source", "first"),
    [
        (lvm(GIB), "sda"),
        (lvm(GIB, boot=False), "sda"),
        (replace(inventory(fs("/boot", "sdb"), fs("/", "sda"))), "sda"),
    ],
)
def test_which_disk_starts_the_replica(source: Inventory, first: str) -> None:
    assert layout(source).disks[0].holds == first
    assert layout(source).disks[0].partitions[0].role is PartitionRole.BIOS_BOOT


def test_boot_beside_a_volume_group_starts_the_replica() -> None:
    planned = layout(lvm(GIB, 2 * GIB), PER_VOLUME)
    assert [disk.holds for disk in planned.disks] == ["/boot", "vg0"]
    assert planned.disks[0].partitions[0].role is PartitionRole.BIOS_BOOT
    alone = layout(lvm(GIB, boot=False), PER_VOLUME)
    assert [p.role for p in alone.disks[0].partitions] == [
        PartitionRole.BIOS_BOOT,
        PartitionRole.PHYSICAL_VOLUME,
    ]


def test_uefi_starts_from_the_efi_system_partition() -> None:
    esp = fs("/boot/efi", "sdb", kind="vfat")
    source = replace(inventory(fs("/", "sda"), esp), firmware=Firmware.UEFI)
    first, _ = layout(source).disks
    assert (first.holds, first.partitions[0].role) == ("sdb", PartitionRole.EFI_SYSTEM)
    (only,) = layout(source, PER_VOLUME).disks
    assert [p.role for p in only.partitions] == [PartitionRole.EFI_SYSTEM, PartitionRole.FILE_SYSTEM]


def test_a_group_is_cut_into_disks_of_the_size_asked_for() -> None:
    groups = {"vg0": GroupSpec(disk_size="5GiB", volumes={"lv0": "3GiB"}, size="12GiB")}
    planned = layout(lvm(GIB, boot=False), replace(PER_VOLUME, groups=groups))
    assert [disk.size_bytes <= 5 * GIB for disk in planned.disks] == [True] * 3
    assert planned.groups[0].size_bytes == 12 * GIB
    assert planned.groups[0].volumes[0].size_bytes == 3 * GIB


def test_sizes_are_whole_extents() -> None:
    planned = layout(lvm(GIB), replace(PER_VOLUME, groups={"vg0": GroupSpec(volumes={"lv0": "1025MiB"})}))
    assert planned.groups[0].volumes[0].size_bytes == GIB + EXTENT


def test_many_disks_need_large_controllers() -> None:
    def source(count: int) -> Inventory:
        return inventory(fs("/"), *(fs(f"/m{n}", device=f"/dev/x{n}") for n in range(count - 1)))

    assert {disk.unit for disk in layout(source(60), PER_VOLUME).disks} == set(range(16)) - {7}
    many = layout(source(256), PER_VOLUME).disks
    assert len({(disk.bus, disk.unit) for disk in many}) == 256
    assert {disk.unit for disk in many} == set(range(65)) - {7}
    with pytest.raises(UsageError, match="257 disks; 256"):
        layout(source(257), PER_VOLUME)


def test_only_what_is_asked_for_is_protected() -> None:
    source = inventory(fs("/"), fs("/boot"), fs("/srv", "sdb"), fs("/var", "sdc"))
    planned = layout(source, workload=WorkloadSpec(volumes=("/var",)))
    assert [p.mount_point for p in partitions(planned) if p.mount_point] == ["/", "/boot", "/var"]
    left = select(source, WorkloadSpec(volumes=())).left_out
    assert [(out.mount_point, out.reason) for out in left] == [
        ("/srv", "the job does not name it"),
        ("/var", "the job does not name it"),
    ]


def test_a_file_system_of_which_several_subvolumes_are_mounted_is_there_once() -> None:
    root = replace(fs("/", kind="btrfs"), subvolume="/@")
    home = replace(root, mount_point="/home", subvolume="/@home")
    assert [p.mount_point for p in partitions(layout(inventory(root, home)))] == ["", "/"]


REFUSED: list[tuple[Inventory, dict[str, Any], str]] = [
    (inventory(fs("/srv")), {}, "root file system is not on a local disk"),
    (inventory(fs("/"), fs("/odd", kind="vfat")), {}, "vfat file systems are not supported"),
    (inventory(fs("/"), replace(fs("/odd"), uuid="")), {}, "no readable UUID"),
    (inventory(fs("/"), replace(fs("/odd"), uuid="uuid-/")), {}, "same UUID"),
    (inventory(fs("/")), {"workload": WorkloadSpec(volumes=("/srv",))}, "no file system at /srv"),
    (
        replace(inventory(fs("/")), unprotected=(Unprotected("/nfs", "x:/", "nfs", Reason.NETWORK),)),
        {"workload": WorkloadSpec(volumes=("/nfs",))},
        "on another server",
    ),
    (inventory(fs("/")), {"storage": StorageSpec(disks={"sdb": DiskSpec()})}, "on a disk sdb"),
    (
        inventory(fs("/"), fs("/srv", "sdb")),
        {"storage": StorageSpec(disks={"sda": DiskSpec(existing="[ds] a/a.vmdk")})},
        "sda is an existing disk and sdb a new one",
    ),
    (
        inventory(fs("/")),
        {"storage": StorageSpec(disks={"sda": DiskSpec(size="100MiB")})},
        "replica.storage.disks.sda.size: sda needs at least 503 MiB",
    ),
    (
        inventory(fs("/")),
        {"storage": replace(PER_VOLUME, partitions={"/": DiskSpec(size="100MiB")})},
        "replica.storage.partitions./.size: / has 250 MiB in use",
    ),
    (
        inventory(fs("/")),
        {"storage": replace(PER_VOLUME, partitions={"/srv": DiskSpec()})},
        "replica.storage.partitions: nothing that is protected is called /srv",
    ),
    (
        inventory(fs("/"), swaps=(Swap("/dev/sda2", "s", GIB, disk="sda"),)),
        {"storage": replace(PER_VOLUME, partitions={"/dev/sda2": DiskSpec(datastore="x")})},
        "shares the disk that starts the replica",
    ),
    (
        lvm(GIB),
        {"storage": replace(PER_VOLUME, groups={"vg1": GroupSpec()})},
        "replica.storage.groups: nothing that is protected is called vg1",
    ),
    (
        lvm(GIB),
        {"storage": replace(PER_VOLUME, groups={"vg0": GroupSpec(volumes={"lv0": "100MiB"})})},
        "replica.storage.groups.vg0.volumes.lv0: / has 512 MiB in use",
    ),
    (
        lvm(GIB, 2 * GIB),
        {"storage": replace(PER_VOLUME, groups={"vg0": GroupSpec(size="2GiB")})},
        "replica.storage.groups.vg0.size: the logical volumes need 3072 MiB",
    ),
    (
        lvm(GIB),
        {"storage": replace(PER_VOLUME, groups={"vg0": GroupSpec(disk_size="2MiB")})},
        "replica.storage.groups.vg0.disk_size: more than 256 disks",
    ),
    (lvm(GIB, whole=True), {}, "is a physical volume without a partition"),
    (lvm(30 * GIB, kind=VolumeKind.THIN), {}, "promise more space than the volume group has"),
    (inventory(fs("/", size=63 * TIB)), {}, "a virtual disk has at most 62 TiB"),
]


@pytest.mark.parametrize(("source", "options", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_cannot_be_planned_is_named(source: Inventory, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        layout(source, **options)
    assert words in caught.value.message
    assert caught.value.hint


def test_per_volume_needs_no_partitions_below_a_group() -> None:
    planned = layout(lvm(GIB, whole=True, boot=False), PER_VOLUME)
    assert [disk.holds for disk in planned.disks] == ["vg0"]


def test_thin_volumes_get_the_room_that_they_promise() -> None:
    planned = layout(lvm(30 * GIB, kind=VolumeKind.THIN), PER_VOLUME)
    assert planned.groups[0].size_bytes == 30 * GIB


def test_a_disk_that_nothing_protected_is_on_is_not_made() -> None:
    source = replace(inventory(fs("/")), devices=(disk("sda"), disk("sdb")))
    assert [made.holds for made in layout(source).disks] == ["sda"]


@pytest.mark.parametrize(("kind", "least"), [("xfs", 300 * MIB), ("btrfs", 128 * MIB), ("ext4", 64 * MIB)])
def test_a_file_system_is_never_smaller_than_todays_tools_make_it(kind: str, least: int) -> None:
    planned = layout(inventory(fs("/"), fs("/boot", size=64 * MIB, kind=kind, device="/dev/sda2")))
    assert [p.size_bytes for p in partitions(planned) if p.mount_point == "/boot"] == [least]
