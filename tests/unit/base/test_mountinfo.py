from __future__ import annotations

import os

from dtesx.base.mountinfo import Mount, mount_id, mounts, parse

_TABLE = rb"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
31 22 0:41 /@home /srv/with\040space rw,noatime - btrfs /dev/sdb1 ro,subvolid=257,subvol=/@home
32 22 0:30 / /run/odd\134name rw master:3 propagate_from:2 - tmpfs tmp\011fs rw
""".lstrip()


def test_every_line_is_a_mount() -> None:
    assert parse(_TABLE) == [
        Mount(22, os.makedev(8, 1), b"/", b"/", "ext4", b"/dev/sda1", read_only=False),
        Mount(31, os.makedev(0, 41), b"/@home", b"/srv/with space", "btrfs", b"/dev/sdb1", read_only=True),
        Mount(32, os.makedev(0, 30), b"/", b"/run/odd\\name", "tmpfs", b"tmp\tfs", read_only=False),
    ]


def test_an_open_directory_is_in_a_mount_of_the_table() -> None:
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        (mount,) = [mount for mount in mounts() if mount.id == mount_id(fd)]
    finally:
        os.close(fd)
    assert (mount.point, mount.type) == (b"/proc", "proc")
