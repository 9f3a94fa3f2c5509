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
