from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dtesx.inventory.blocks import may_have_table, parse_blocks, relevant, with_tables
from dtesx.model.storage import DeviceKind, TableKind
from tests.unit.inventory.records import lsblk, node, sfdisk

BLOCKS = parse_blocks(
    lsblk(
        node("loop4", "loop", "7:4", size=5000),
        node("loop5", "loop", "7:5", size=0),
        node(
            "sda",
            "disk",
            "8:0",
            node("sda1", "part", "8:1"),
            node("sda2", "part", "8:2", node("dm-0", "lvm", "253:0", path="/dev/mapper/vg-root")),
        ),
        node("sdb", "disk", "8:16", node("drbd0", "disk", "147:0")),
        node("sr0", "rom", "11:0"),
        node("zram0", "disk", "252:0"),
    )
)
NAMES = [block.device.name for block in BLOCKS]


def test_the_disk_is_the_bottom_of_the_stack() -> None:
    by_name = {block.device.name: block for block in BLOCKS}
    assert (by_name["dm-0"].disk, by_name["dm-0"].stack) == ("sda", ("disk", "part", "lvm"))
    assert by_name["dm-0"].device.path == "/dev/mapper/vg-root"
    assert (by_name["loop4"].disk, by_name["loop4"].stack) == ("loop4", ("loop",))


def test_memory_empty_loops_and_optical_drives_are_no_storage() -> None:
    assert sorted(NAMES) == ["dm-0", "drbd0", "loop4", "sda", "sda1", "sda2", "sdb"]


def test_a_disk_on_a_disk_is_a_mapped_device() -> None:
    (drbd,) = (block.device for block in BLOCKS if block.device.name == "drbd0")
    assert (drbd.kind, drbd.below, drbd.disk) == (DeviceKind.MAPPED, ("sdb",), None)


def test_unused_loop_devices_are_nobodys() -> None:
    assert "loop4" not in [d.name for d in relevant(BLOCKS, ["dm-0"], whole_machine=True)]
    assert [d.name for d in relevant(BLOCKS, ["loop4"], whole_machine=False)] == ["loop4"]
    below = [d.name for d in relevant(BLOCKS, ["dm-0"], whole_machine=False)]
    assert below == ["sda", "sda2", "dm-0"]


def test_only_disks_without_content_are_asked_for_a_table() -> None:
    assert [b.device.name for b in BLOCKS if may_have_table(b.device)] == ["loop4", "sda", "sdb"]
    (used,) = parse_blocks(lsblk(node("sdc", "disk", "8:32", fstype="LVM2_member")))
    assert not may_have_table(used.device)


def test_a_disk_without_a_table_stays_without() -> None:
    devices = [block.device for block in BLOCKS]
    found = {
        d.name: d for d in with_tables(devices, {"sda": "", "sdb": sfdisk("sun"), "loop4": sfdisk("gpt")})
    }
    assert found["sda"].disk is not None
    assert found["sda"].disk.table is TableKind.NONE
    assert found["sda1"].partition is None
    assert found["sdb"].disk is not None
    assert found["sdb"].disk.table is TableKind.OTHER
    assert found["loop4"].disk is not None
    assert found["loop4"].disk.table is TableKind.GPT


def test_nothing_at_all() -> None:
    assert parse_blocks(json.dumps({"blockdevices": []})) == ()


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Devices by name, each with some of those before it below it."""
    names = [f"dm-{n}" for n in range(draw(st.integers(1, 9)))]
    return {
        name: sorted(draw(st.sets(st.sampled_from(names[:n]), max_size=3))) if n else []
        for n, name in enumerate(names)
    }


def printed(graph: dict[str, list[str]]) -> str:
    """The graph as lsblk prints it: a device below each of its parents, with all that is on it."""

    def drawn(name: str) -> dict[str, Any]:
        above = [other for other, below in graph.items() if name in below]
        return node(name, "dm" if graph[name] else "disk", f"9:{name}", *map(drawn, above))

    return lsblk(*(drawn(name) for name, below in graph.items() if not below))


@given(graphs(), st.data())
def test_any_graph_of_devices(graph: dict[str, list[str]], data: st.DataObject) -> None:
    blocks = parse_blocks(printed(graph))
    found = {block.device.name: sorted(block.device.below) for block in blocks}
    assert found == graph
    names = list(found)
    assert all(names.index(below) < names.index(name) for name in names for below in graph[name])

    used = data.draw(st.sets(st.sampled_from(names)))
    kept = {device.name for device in relevant(blocks, used, whole_machine=False)}
    assert used <= kept
    assert all(set(graph[name]) <= kept for name in kept)
    assert all(name in used or any(name in graph[other] for other in kept) for name in kept)
