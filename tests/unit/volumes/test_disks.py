from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import NotFound
from dtesx.volumes.disks import find_disk, link_names

UUID = "6000C295-1111-2222-3333-AABBCCDDEEFF"


def test_names_are_lower_case_hex_without_dashes() -> None:
    assert link_names(UUID) == (
        "wwn-0x6000c295111122223333aabbccddeeff",
        "scsi-36000c295111122223333aabbccddeeff",
    )


@pytest.mark.parametrize("which", [0, 1])
def test_either_link_is_followed(tmp_path: Path, which: int) -> None:
    node = tmp_path / "sdb"
    node.touch()
    (tmp_path / link_names(UUID)[which]).symlink_to(node)
    assert find_disk(UUID, timeout=0, by_id=tmp_path) == node


def test_a_partition_or_a_dangling_link_is_not_the_disk(tmp_path: Path) -> None:
    (tmp_path / f"{link_names(UUID)[0]}-part1").touch()
    (tmp_path / link_names(UUID)[0]).symlink_to(tmp_path / "gone")
    with pytest.raises(NotFound) as caught:
        find_disk(UUID, timeout=0, by_id=tmp_path)
    assert UUID in caught.value.message
    assert caught.value.hint
