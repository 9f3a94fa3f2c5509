"""A whole plan: machine, cards, datastores, what differs and what stands against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import UsageError
from dtesx.model.inventory import Firmware, Inventory, OperatingSystem, Processor
from dtesx.model.job import JobSpec
from dtesx.model.layout import GIB, MIB, DiskFormat
from dtesx.model.network import Link, LinkKind
from dtesx.model.network import Network as SourceNetwork
from dtesx.model.plan import JobPlan, LeftOut
from dtesx.model.replica import (
    AddressSpec,
    DiskSpec,
    DiskStrategy,
    GroupSpec,
    ReplicaSpec,
    StorageSpec,
)
from dtesx.model.specs import MirrorSpec, WorkloadSpec
from dtesx.model.storage import DiskFacts, Reason, TableKind, Unprotected
from dtesx.model.vmware import NicPlan, Offer
from dtesx.planning.machine import guest_id
from dtesx.planning.plan import plan_job

from .sources import disk, fs, grouped, inventory, lvm, offer, plain


def planned(
    source: Inventory | None = None,
    there: Offer | None = None,
    spec: dict[str, Any] | None = None,
    **replica: Any,
) -> JobPlan:
    made = JobSpec("web", "alpha", "vc", ReplicaSpec("ds", **replica), **(spec or {}))
    return plan_job(made, source or inventory(fs("/"), disk_bytes=16 * GIB), there or offer())


def told(plan: JobPlan) -> str:
    return "\n".join(f"{d.subject}: {d.source} -> {d.replica}" for d in plan.deviations)


def against(plan: JobPlan) -> str:
    assert all(problem.hint for problem in plan.obstacles)
    return "\n".join(problem.message for problem in plan.obstacles)


def test_a_replica_like_its_source() -> None:
    plan = planned()
    machine = plan.replica
    assert (machine.sockets, machine.cores_per_socket, machine.cpus) == (2, 2, 4)
    assert (machine.memory_mib, machine.firmware, machine.name) == (2048, Firmware.BIOS, "web-replica")
    assert machine.nics == (NicPlan("VM Network"), NicPlan("VM Network"))
    assert machine.disks == plan.layout.disks
    assert plan.obstacles == ()
    assert plan.warnings == ()
    assert {d.subject for d in plan.deviations} == {"network card eth0", "network card eth1"}


@given(st.one_of(plain(), grouped()), st.sampled_from(DiskStrategy), st.sampled_from(DiskFormat))
def test_every_byte_of_the_disks_is_counted_on_some_datastore(
    source: Inventory, strategy: DiskStrategy, form: DiskFormat
) -> None:
    plan = planned(source, storage=StorageSpec(strategy), disk_format=form, memory_mib=1024)
    (use,) = plan.datastores
    assert use.needed_bytes == sum(disk.size_bytes for disk in plan.layout.disks) + GIB
    assert use.left_bytes == use.free_bytes - use.needed_bytes
    if form is DiskFormat.THIN:
        assert use.at_once_bytes <= sum(f.used_bytes for f in source.file_systems)
    else:
        assert use.at_once_bytes == use.needed_bytes - GIB


def test_space_is_counted_where_the_disks_are() -> None:
    storage = StorageSpec(disks={"sdb": DiskSpec(datastore="slow", format=DiskFormat.FLAT)})
    source = inventory(fs("/"), fs("/srv", "sdb"), disk_bytes=8 * GIB)
    plan = planned(source, offer(names=("slow", "unused")), storage=storage)
    assert [(use.name, use.needed_bytes, use.at_once_bytes) for use in plan.datastores] == [
        ("ds", 10 * GIB, 250 * MIB),
        ("slow", 8 * GIB, 8 * GIB),
    ]


@pytest.mark.parametrize(
    ("free", "form", "stands", "warns"),
    [
        (100 * MIB, DiskFormat.THIN, True, False),
        (10 * GIB, DiskFormat.THIN, False, True),
        (10 * GIB, DiskFormat.THICK, True, False),
        (18 * GIB, DiskFormat.THICK, False, True),
        (23 * GIB, DiskFormat.THICK, False, False),
    ],
)
def test_a_datastore_with_too_little_room(free: int, form: DiskFormat, stands: bool, warns: bool) -> None:
    plan = planned(there=offer(free=free), disk_format=form)
    assert ("are needed at once" in against(plan)) is stands
    assert any("5 GiB free" in caution.message for caution in plan.warnings) is warns


def test_processors_and_memory_that_differ_are_told() -> None:
    plan = planned(sockets=1, cores_per_socket=1, memory_mib=1022)
    assert (plan.replica.cpus, plan.replica.memory_mib) == (1, 1024)
    assert "processors: 2 sockets of 2 cores -> 1 sockets of 1 cores" in told(plan)
    assert "memory: 2.0 GiB -> 1.0 GiB" in told(plan)
    assert any("more slowly" in caution.message for caution in plan.warnings)


def test_threads_of_the_source_are_cores_of_the_replica() -> None:
    source = replace(inventory(fs("/")), processor=Processor(2, 40, 2), cpus=160)
    assert planned(source).replica.cores_per_socket == 64
    unknown = replace(source, processor=None, cpus=6)
    assert (planned(unknown).replica.sockets, planned(unknown).replica.cores_per_socket) == (6, 1)


def test_cards_are_mapped_left_out_and_given_addresses() -> None:
    wanted = AddressSpec(("192.0.2.5/24",), ("192.0.2.1",), ("192.0.2.53",))
    plan = planned(networks={"eth0": "Recovery", "eth1": None}, addresses={"eth0": wanted})
    first, second = plan.nics
    assert (first.network, first.distributed, first.addresses) == ("Recovery", True, ("192.0.2.5/24",))
    assert (first.gateways, first.name_servers, first.changed) == (("192.0.2.1",), ("192.0.2.53",), True)
    assert (second.network, second.addresses) == ("", ())
    assert plan.replica.nics == (NicPlan("Recovery"),)
    assert "network card eth1: 52:54:00:00:00:02 -> none" in told(plan)
    assert "network card eth0: its addresses -> 192.0.2.5/24" in told(plan)
    assert plan.obstacles == ()


def test_cards_keep_what_the_source_has() -> None:
    first = planned().nics[0]
    assert (first.addresses, first.gateways, first.name_servers, first.changed) == (
        ("10.0.0.2/24",),
        ("10.0.0.1",),
        ("10.0.0.53",),
        False,
    )


@pytest.mark.parametrize(
    "option", [{"networks": {"eth9": "x"}}, {"addresses": {"eth9": AddressSpec(("::1/64",))}}]
)
def test_a_card_that_is_not_there(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="names eth9, which the source does not have"):
        planned(**option)


UEFI = replace(inventory(fs("/")), firmware=Firmware.UEFI)
RAID = inventory(replace(fs("/"), stack=("disk", "part", "raid1")))
ENCRYPTED = inventory(replace(fs("/"), stack=("disk", "part", "crypt")))
UNREAD = inventory(replace(fs("/"), stack=("disk", "part", "lvm")))
OLD = StorageSpec(disks={"sda": DiskSpec(existing="[ds] old/old.vmdk")})


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        (UEFI, {}, "starts by UEFI, but no EFI system partition of it is mounted"),
        (UEFI, {"firmware": Firmware.BIOS}, "starts by uefi as a replica that starts by bios"),
        (replace(UEFI, architecture="aarch64"), {}, "the source has aarch64 processors"),
        (ENCRYPTED, {}, "/: encrypted on the source, but the replica's disks would not be"),
        (UNREAD, {}, "/: the source could not tell which volume group it is in"),
        (inventory(fs("/")), {"storage": OLD}, "no virtual disk [ds] old/old.vmdk on the datastores"),
        (inventory(fs("/")), {"networks": {"*": "Nowhere"}}, "no port group Nowhere"),
        (
            inventory(fs("/")),
            {"storage": StorageSpec(disks={"sda": DiskSpec(datastore="x")})},
            "no datastore x",
        ),
    ],
)
def test_what_stands_against_a_plan_is_told_with_it(
    source: Inventory, options: dict[str, Any], words: str
) -> None:
    assert words in against(planned(source, **options))


def test_nothing_stands_against_a_source_that_starts_by_uefi() -> None:
    source = replace(inventory(fs("/"), fs("/boot/efi", kind="vfat")), firmware=Firmware.UEFI)
    assert against(planned(source)) == ""


@pytest.mark.parametrize(
    ("hardware", "held", "fits"), [(13, 59, True), (13, 60, False), (14, 255, True), (14, 256, False)]
)
def test_the_appliance_has_places_for_so_many_disks(hardware: int, held: int, fits: bool) -> None:
    plan = planned(there=offer(disks=held, hardware=hardware))
    assert ("has room for 0 more" not in against(plan)) is fits


def test_what_is_not_as_on_the_source_is_told() -> None:
    mbr = replace(disk("sda", 16 * GIB), disk=DiskFacts(table=TableKind.MBR))
    source = replace(inventory(fs("/"), fs("/srv")), devices=(mbr, disk("sdb", GIB)))
    plan = planned(source, spec={"workload": WorkloadSpec(())})
    assert "disk sda: partition table: mbr -> partition table: gpt" in told(plan)
    assert "disk sdb: 1.0 GiB -> none of its own" in told(plan)


def test_a_replica_has_no_raid_and_nothing_stands_against_it() -> None:
    plan = planned(RAID)
    assert "/: on raid1 -> without" in told(plan)
    assert plan.obstacles == ()


def test_volume_groups_are_made() -> None:
    assert planned(lvm(GIB)).obstacles == ()


def test_that_encryption_is_lost_has_to_be_accepted() -> None:
    plan = planned(ENCRYPTED, storage=StorageSpec(unencrypted=True))
    assert plan.obstacles == ()
    assert "/: on crypt -> without" in told(plan)
    assert "/: encrypted on the source, in clear on the replica" in [c.message for c in plan.warnings]


def test_what_stays_behind_is_told_with_the_reason() -> None:
    away = Unprotected("/nfs", "filer:/x", "nfs", Reason.NETWORK)
    source = replace(inventory(fs("/"), fs("/srv")), unprotected=(away,))
    assert planned(source, spec={"workload": WorkloadSpec(())}).left_out == (
        LeftOut("/srv", "the job does not name it"),
        LeftOut("/nfs", "its data are on another server"),
    )


def test_a_card_in_a_bond_is_called_by_what_the_bond_is() -> None:
    source = inventory(fs("/"))
    bond = Link("bond0", LinkKind.BOND, "52:54:00:00:00:01", ("eth0", "eth1"), ("10.0.0.9/24",))
    cards = tuple(replace(nic, master="bond0", addresses=(), gateways=()) for nic in source.nics)
    plan = planned(replace(source, nics=cards, network=SourceNetwork(links=(bond,))))
    assert [(nic.master, nic.addresses) for nic in plan.nics] == [("bond0", ("10.0.0.9/24",))] * 2


def test_the_cards_of_a_bond_are_given_addresses_once() -> None:
    source = inventory(fs("/"))
    bridge = Link("br0", LinkKind.BRIDGE, "52:54:00:00:00:01", ("bond0",))
    bond = Link("bond0", LinkKind.BOND, "52:54:00:00:00:01", ("eth0", "eth1"), master="br0")
    cards = tuple(replace(nic, master="bond0") for nic in source.nics)
    source = replace(source, nics=cards, network=SourceNetwork(links=(bond, bridge)))
    wanted = AddressSpec(("192.0.2.5/24",))
    assert planned(source, addresses={"eth1": wanted}).obstacles == ()
    plan = planned(source, addresses={"eth0": wanted, "eth1": wanted})
    assert against(plan) == "replica.addresses names eth0, eth1, which are all below br0"


def test_a_plan_is_the_same_after_it_crossed_the_api() -> None:
    plan = planned(lvm(GIB, members=(8 * GIB, 8 * GIB)))
    assert msgspec.json.decode(msgspec.json.encode(plan), type=JobPlan) == plan


def test_smaller_volumes_are_told_and_warned_of() -> None:
    groups = {"vg0": GroupSpec(volumes={"lv0": "9GiB"})}
    plan = planned(lvm(16 * GIB), storage=StorageSpec(DiskStrategy.PER_VOLUME, groups=groups))
    assert "/: 16.0 GiB -> 9.0 GiB" in told(plan)
    assert any(c.message.startswith("/: 9.0 GiB hold 8.0 GiB of files") for c in plan.warnings)


def test_what_never_travels_is_told() -> None:
    plan = planned(spec={"mirror": MirrorSpec(exclude=("/var/cache",))})
    assert plan.excluded == ("/var/lib/dtesx", "/var/cache")


def test_a_replica_that_exists_needs_nothing_more() -> None:
    source = lvm(GIB)
    first = planned(source)
    spec = JobSpec("web", "alpha", "vc", ReplicaSpec("ds"))
    again = plan_job(spec, source, offer(free=0, disks=60, hardware=13), kept=first.layout)
    assert again.layout == first.layout
    assert (again.datastores, again.obstacles) == ((), ())


def test_existing_disks_take_no_space() -> None:
    (use,) = planned(inventory(fs("/")), storage=OLD).datastores
    assert (use.needed_bytes, use.at_once_bytes) == (2 * GIB, 0)


@pytest.mark.parametrize(
    ("os", "guest"),
    [
        (OperatingSystem("ubuntu", "24.04", "Ubuntu"), "ubuntu64Guest"),
        (OperatingSystem("linuxmint", "22", "Mint", ("ubuntu", "debian")), "ubuntu64Guest"),
        (OperatingSystem("gentoo", "", "Gentoo"), "other3xLinux64Guest"),
    ],
)
def test_guests_by_what_they_derive_from(os: OperatingSystem, guest: str) -> None:
    assert guest_id(os) == guest
