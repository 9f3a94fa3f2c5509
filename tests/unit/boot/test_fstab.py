from __future__ import annotations

import pytest

from dtesx.boot.devices import Volume
from dtesx.boot.fstab import rewrite
from dtesx.model.layout import PartitionRole

ROOT = Volume(PartitionRole.FILE_SYSTEM, "ext4", "u-root", "system", "/")
DATA = Volume(PartitionRole.FILE_SYSTEM, "xfs", "u-data", "", "/srv/my data")
SWAP = Volume(PartitionRole.SWAP, "swap", "u-swap")

GOOD = (
    "# comment\n"
    "\n"
    "UUID=u-root  /  ext4  errors=remount-ro 0 1   # root\n"
    "UUID=U-DATA /srv/my\\040data xfs defaults 0 0\n"
    "/dev/disk/by-uuid/u-swap none swap sw 0 0\n"
    "tmpfs /tmp tmpfs size=1g 0 0\n"
    "nas:/export /mnt nfs ro 0 0\n"
    "/swapfile none swap sw 0 0\n"
)


def fixed(text: str) -> str:
    new, _ = rewrite(text, (ROOT, DATA), (SWAP,))
    again, changes = rewrite(new, (ROOT, DATA), (SWAP,))
    assert (again, changes) == (new, ())
    return new


def test_what_is_right_stays_bytewise() -> None:
    assert rewrite(GOOD, (ROOT, DATA), (SWAP,)) == (GOOD, ())


@pytest.mark.parametrize(
    "device", ["/dev/sda1", "/dev/mapper/vg-root", "PARTUUID=77", "UUID=gone", "LABEL=x"]
)
def test_a_device_that_moved_becomes_its_uuid(device: str) -> None:
    new = fixed(GOOD.replace("UUID=u-root", device))
    assert new == GOOD


def test_a_matching_label_is_kept() -> None:
    text = GOOD.replace("UUID=u-root", "LABEL=system")
    assert fixed(text) == text


def test_swap_by_path_takes_the_swap_that_no_line_names() -> None:
    assert fixed(GOOD.replace("/dev/disk/by-uuid/u-swap", "/dev/vda5")) == GOOD.replace(
        "/dev/disk/by-uuid/u-swap", "UUID=u-swap"
    )


@pytest.mark.parametrize(
    "line",
    [
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0",
        "UUID=other /backup ext4 defaults 0 2",
        "/dev/sdz9 none swap sw 0 0",
    ],
)
def test_what_is_not_on_the_replica_is_commented_out(line: str) -> None:
    new, changes = rewrite(GOOD + line + "\n", (ROOT, DATA), (SWAP,))
    assert new == f"{GOOD}# not on this machine (dtesx): {line}\n"
    assert line.split()[0] in changes[0]
    assert len(changes) == 1


def test_missing_lines_are_added() -> None:
    new = fixed("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n")
    assert new.splitlines() == [
        "# UNCONFIGURED FSTAB FOR BASE SYSTEM",
        "UUID=u-root / ext4 defaults 0 1",
        "UUID=u-data /srv/my\\040data xfs defaults 0 0",
        "UUID=u-swap none swap sw 0 0",
    ]


def test_a_second_line_for_the_same_place_by_a_lost_device_is_commented_out() -> None:
    new = fixed(GOOD + "/dev/sdb1 / ext4 defaults 0 1\n")
    assert new.endswith("(dtesx): /dev/sdb1 / ext4 defaults 0 1\n")


TOP = Volume(
    PartitionRole.FILE_SYSTEM, "btrfs", "u-b", "", "/", subvolume="@", subvolumes=("@", "@home", "@x")
)
HOME = Volume(
    PartitionRole.FILE_SYSTEM, "btrfs", "u-b", "", "/home", subvolume="@home", subvolumes=TOP.subvolumes
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/dev/sda2 / btrfs subvol=@ 0 0", "UUID=u-b / btrfs subvol=@ 0 0"),
        ("UUID=u-b / btrfs subvolid=256,subvol=@ 0 0", "UUID=u-b / btrfs subvol=@ 0 0"),
        ("UUID=u-b / btrfs noatime,subvolid=256 0 0", "UUID=u-b / btrfs noatime,subvol=/@ 0 0"),
    ],
)
def test_subvolumes_are_found_by_path(old: str, new: str) -> None:
    home = "/home btrfs subvolid=257 0 0\n"
    text, _ = rewrite(f"{old}\nUUID=u-b {home}", (TOP, HOME), ())
    assert text == f"{new}\nUUID=u-b /home btrfs subvol=/@home 0 0\n"
    assert rewrite(text, (TOP, HOME), ()) == (text, ())


def test_other_lines_of_a_btrfs_stay_while_their_subvolume_is_there() -> None:
    good = "/dev/sda2 / btrfs subvol=@ 0 0\n/dev/sda2 /home btrfs subvol=@home 0 0\n"
    text, _ = rewrite(
        good + "/dev/sda2 /x btrfs subvol=/@x 0 0\nUUID=u-b /gone btrfs subvol=@gone 0 0\n", (TOP, HOME), ()
    )
    lines = text.splitlines()
    assert lines[2] == "UUID=u-b /x btrfs subvol=/@x 0 0"
    assert lines[3].endswith("(dtesx): UUID=u-b /gone btrfs subvol=@gone 0 0")


def test_missing_subvolumes_are_added() -> None:
    assert (
        rewrite("", (TOP, HOME), ())[0]
        == "UUID=u-b / btrfs subvol=/@ 0 0\nUUID=u-b /home btrfs subvol=/@home 0 0\n"
    )
