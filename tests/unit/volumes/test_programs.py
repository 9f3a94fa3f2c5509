from __future__ import annotations

import pytest

from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskLayout, Layout, Partition, PartitionRole
from dtesx.planning.workload import FILE_SYSTEM_TYPES
from dtesx.volumes import programs


def layout(*kinds: str) -> Layout:
    parts = tuple(
        Partition(n, PartitionRole.FILE_SYSTEM, 1, 1, kind) for n, kind in enumerate(kinds, start=1)
    )
    return Layout(firmware=Firmware.BIOS, disks=(DiskLayout(0, 1, parts),))


def test_a_layout_needs_the_makers_of_its_file_systems_only() -> None:
    wanted = programs.needed(layout("xfs", "swap", "xfs", ""))
    assert {"mkfs.xfs", "mkswap", "sfdisk"} <= set(wanted)
    assert "mkfs.btrfs" not in wanted


@pytest.mark.parametrize("kind", [*FILE_SYSTEM_TYPES, "swap"])
def test_whatever_can_be_protected_has_a_program_in_a_package(kind: str) -> None:
    more = set(programs.needed(layout(kind))) - set(programs.needed(layout()))
    assert len(more) == 1
    assert programs.packages(more)


def test_what_is_not_there_is_missing() -> None:
    assert programs.missing(("sh", "no-such-program-anywhere")) == ("no-such-program-anywhere",)
