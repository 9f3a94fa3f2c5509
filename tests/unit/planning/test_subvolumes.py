"""Which subvolumes of a btrfs travel, by the layouts that distributions make."""

from __future__ import annotations

from dataclasses import replace

from dtesx.model.inventory import ContainerEngine, Containers, Inventory
from dtesx.model.layout import MIB, Subvolume
from dtesx.model.plan import LeftOut
from dtesx.model.specs import WorkloadSpec
from dtesx.model.storage import (
    BlockDevice,
    Content,
    DeviceKind,
    FileSystem,
    Reason,
    Unprotected,
)
from dtesx.model.storage import Subvolume as Listed
from dtesx.planning.workload import Workload, select

from .sources import fs, inventory


def source(mounts: dict[str, str], listed: str, *, default: str = "", snapshots: str = "") -> Inventory:
    """A btrfs with these mounts (place: subvolume) and subvolumes."""
    found = tuple(
        Listed(number, path, snapshot=path in snapshots.split(), default=path == default)
        for number, path in enumerate(listed.split(), 256)
    )
    return inventory(
        *(
            replace(
                fs(place, kind="btrfs"), uuid="u-b", subvolume=f"/{path}" if path else "", subvolumes=found
            )
            for place, path in mounts.items()
        )
    )


def made(found: Inventory, volumes: tuple[str, ...] | None = None) -> tuple[Subvolume, ...]:
    (volume,) = select(found, WorkloadSpec(volumes)).volumes
    return volume.subvolumes


def left(found: Inventory) -> dict[str, str]:
    workload: Workload = select(found, WorkloadSpec())
    return {left.mount_point: left.reason for left in workload.left_out}


def test_ubuntu() -> None:
    found = source({"/": "@", "/home": "@home"}, "@ @home")
    assert made(found) == (Subvolume("@", "/"), Subvolume("@home", "/home"))
    (volume,) = select(found, WorkloadSpec()).volumes
    assert volume.title == "/"


def test_suse_with_its_first_snapshot_as_root() -> None:
    listed = "@ @/var @/home @/.snapshots @/.snapshots/1/snapshot @/.snapshots/2/snapshot"
    mounts = {
        "/": "@/.snapshots/1/snapshot",
        "/.snapshots": "@/.snapshots",
        "/home": "@/home",
        "/var": "@/var",
    }
    taken = "@/.snapshots/1/snapshot @/.snapshots/2/snapshot"
    found = source(mounts, listed, default="@/.snapshots/1/snapshot", snapshots=taken)
    assert made(found) == (
        Subvolume("@", mounted=False),
        Subvolume("@/.snapshots", "/.snapshots"),
        Subvolume("@/.snapshots/1/snapshot", "/", default=True),
        Subvolume("@/home", "/home"),
        Subvolume("@/var", "/var"),
    )
    assert left(found) == {"/: 1 snapshots": "snapshots of subvolumes are not mirrored"}


def test_a_file_system_mounted_whole_needs_none() -> None:
    assert made(source({"/": ""}, "")) == ()
    assert made(source({"/": ""}, "snap", snapshots="snap")) == ()


def test_what_is_seen_in_a_mounted_one_travels_however_deep() -> None:
    found = source({"/": "@"}, "@ @/var/lib/machines @/var/lib/machines/a")
    assert made(found) == (
        Subvolume("@", "/"),
        Subvolume("@/var/lib/machines", "/var/lib/machines", mounted=False),
        Subvolume("@/var/lib/machines/a", "/var/lib/machines/a", mounted=False),
    )


def test_one_within_a_whole_file_system() -> None:
    assert made(source({"/": ""}, "data")) == (
        Subvolume("", "/"),
        Subvolume("data", "/data", mounted=False),
    )


def test_one_that_nobody_sees_stays_and_is_told() -> None:
    found = source({"/": "@"}, "@ @old @old/below")
    assert [s.path for s in made(found)] == ["@"]
    assert set(left(found)) == {"/: @old", "/: @old/below"}


def test_one_hidden_by_another_mount_stays() -> None:
    found = source({"/": "@"}, "@ @/srv/data")
    over = Unprotected("/srv", "filer:/x", "nfs", Reason.NETWORK)
    assert [s.path for s in made(found)] == ["@", "@/srv/data"]
    assert [s.path for s in made(replace(found, unprotected=(over,)))] == ["@"]


def test_layers_of_containers_stay() -> None:
    found = source({"/": "@"}, "@ @/var/lib/docker/btrfs/subvolumes/1f @/srv")
    engine = Containers(ContainerEngine.DOCKER, "/var/lib/docker", 3)
    assert [s.path for s in made(replace(found, containers=(engine,)))] == ["@", "@/srv"]


def test_a_volume_that_the_job_does_not_name_is_not_made() -> None:
    found = source({"/": "@", "/srv": "@srv"}, "@ @srv @srv/below")
    assert made(found, ()) == (Subvolume("@", "/"),)
    assert LeftOut("/srv", "the job does not name it") in select(found, WorkloadSpec(())).left_out


def test_a_btrfs_over_several_devices_has_room_for_all_of_it() -> None:
    def device(name: str, *below: str) -> BlockDevice:
        kind = DeviceKind.MULTIPATH if below else DeviceKind.DISK
        return BlockDevice(name, f"/dev/{name}", kind, 900 * MIB, below, Content("btrfs", "u-b"))

    found = replace(source({"/": "@"}, "@"), devices=(device("sda"), device("sdb"), device("mpatha", "sdb")))
    (volume,) = select(found, WorkloadSpec()).volumes
    assert (volume.devices, volume.size_bytes) == (2, 1800 * MIB)


def test_an_efi_system_partition_keeps_what_decides_how_its_files_look() -> None:
    esp = FileSystem(
        *("/boot/efi", "/dev/sda2", "sda", "vfat", "AB-CD", "", 99 * MIB, MIB),
        options=("rw", "relatime", "fmask=0077", "dmask=0077", "codepage=437", "errors=remount-ro"),
    )
    volume = select(inventory(fs("/"), esp), WorkloadSpec()).volumes[1]
    assert volume.options == ("fmask=0077", "dmask=0077")
