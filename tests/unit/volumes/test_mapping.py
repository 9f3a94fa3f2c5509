from __future__ import annotations

from pathlib import Path

from dtesx.volumes.lvm import Found, Segment
from dtesx.volumes.mapping import table


def test_a_volume_in_two_pieces_is_joined_in_its_own_order() -> None:
    volume = Found(
        "root",
        "uuid",
        (Segment(Path("/dev/sdb1"), 1 << 20, 4 << 20), Segment(Path("/dev/sda3"), 9 << 20, 512)),
    )
    assert table(volume) == "0 8192 linear /dev/sdb1 2048\n8192 1 linear /dev/sda3 18432\n"
    assert volume.size_bytes == (4 << 20) + 512
